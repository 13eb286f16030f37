import type { SessionEntry } from './channel-layer.ts'
import type { GroupHub } from './group-hub.ts'
import { groupName } from './groups.ts'
import { printable } from './protocol.ts'
import { Retries } from './retries.ts'
import type { Clock, MaybePromise } from './runtime.ts'
import type { SessionCommand } from './session-rule.ts'

/** The group that hears what is to become of sessions. */
export const SESSION_GROUP: string = groupName('sessions')

const RETRY_DELAY = 1_000
/** Commands that wait for the layer; above it the oldest are given up. */
const MAX_UNSENT = 10_000

/** A command as it travels. */
export function sessionEntry(command: SessionCommand): SessionEntry {
  const reason = command.command === 'end' ? printable(command.reason).slice(0, 32) : ''
  const except = command.except === undefined ? {} : { except: command.except }
  const entry = { type: 'session', command: command.command, reason, ...except } as const
  if ('user' in command) return { ...entry, user: command.user }
  return 'session' in command ? { ...entry, session: command.session } : entry
}

interface CommandSurroundings {
  readonly hub: GroupHub
  readonly clock: Clock
  /** Does in this process what the entry says. */
  obey(entry: SessionEntry): void
}

/**
 * Takes commands about sessions to every process. What the layer does not take is obeyed here at once, and tried again
 * until the others have heard of it: no process would notice that a command is missing which was never published.
 */
export class SessionCommands {
  readonly #around: CommandSurroundings
  /** By their text, the longest waiting first: each is needed once. */
  readonly #unsent = new Map<string, SessionEntry>()
  readonly #retries: Retries<'unsent'>

  constructor(around: CommandSurroundings) {
    this.#around = around
    this.#retries = new Retries(around.clock, RETRY_DELAY)
  }

  /** Timers that are set. */
  get timers(): number {
    return this.#retries.size
  }

  /** Settles when this process has obeyed. Throws or rejects if the layer has not taken the command yet. */
  send(entry: SessionEntry): MaybePromise<void> {
    try {
      const sent = this.#publish(entry)
      return sent instanceof Promise ? sent.catch((error: unknown) => this.#failed(entry, error)) : sent
    } catch (error) {
      return this.#failed(entry, error)
    }
  }

  close(): void {
    this.#retries.close()
    this.#unsent.clear()
  }

  #publish(entry: SessionEntry): MaybePromise<void> {
    const { hub } = this.#around
    const position = hub.publish(SESSION_GROUP, entry)
    if (position instanceof Promise) return position.then((at) => hub.reached(SESSION_GROUP, at))
    return hub.reached(SESSION_GROUP, position)
  }

  #failed(entry: SessionEntry, error: unknown): never {
    this.#around.obey(entry)
    const text = JSON.stringify(entry)
    this.#unsent.delete(text)
    this.#unsent.set(text, entry)
    if (this.#unsent.size > MAX_UNSENT) for (const [oldest] of this.#unsent) if (this.#unsent.delete(oldest)) break
    this.#wait()
    throw error
  }

  #wait(): void {
    this.#retries.set('unsent', () => void this.#sendAgain())
  }

  async #sendAgain(): Promise<void> {
    for (const [text, entry] of this.#unsent) {
      try {
        await this.#publish(entry)
        this.#unsent.delete(text)
      } catch {
        // The first failure was told; while the layer is away the rest need not be tried.
        return this.#wait()
      }
    }
  }
}
