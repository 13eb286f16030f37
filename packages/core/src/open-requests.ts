import type { ConnectionSession } from './connection-session.ts'
import type { Diagnose } from './diagnostics.ts'
import {
  type ErrorCode,
  type Limits,
  type ReplyMessage,
  type RequestMessage,
  RtapiError,
  printable,
} from './protocol.ts'
import { isWrite } from './requested-action.ts'
import type { Requests } from './requests.ts'
import { type Clock, type Report, withTimeout } from './runtime.ts'
import type { SendQueue } from './send-queue.ts'

/** What the requests of connections need around them. */
export interface RequestRunning {
  readonly requests: Requests
  readonly clock: Clock
  readonly limits: Limits
  readonly report: Report
  readonly diagnose: Diagnose | undefined
}

/** What requests need of their connection. */
export interface RequestHolder {
  readonly isClosed: boolean
  readonly whose: { readonly connection: string; readonly user?: string | number }
  /** Something was asked for that is not there. Answers the milliseconds by which to delay the answer. */
  missed(): number
  /**
   * Settles when what has been written until now has gone out to the views of the connection; `undefined`: it has none,
   * `late`: nobody hears of what was written in time to tell.
   */
  viewsSettled(): Promise<void> | 'late' | undefined
}

/** The requests of one connection that have not been answered. */
export class OpenRequests {
  readonly #holder: RequestHolder
  readonly #session: ConnectionSession
  readonly #queue: SendQueue
  readonly #around: RequestRunning
  readonly #ids = new Set<string>()
  /** Answers that are held back, each with what undoes its timer and lets go. */
  readonly #delays = new Set<() => void>()
  /** Writes run one after the other. */
  #writes: Promise<void> = Promise.resolve()

  constructor(holder: RequestHolder, session: ConnectionSession, queue: SendQueue, around: RequestRunning) {
    this.#holder = holder
    this.#session = session
    this.#queue = queue
    this.#around = around
  }

  get size(): number {
    return this.#ids.size
  }

  get timers(): number {
    return this.#delays.size
  }

  has(id: string): boolean {
    return this.#ids.has(id)
  }

  /** Takes the id of a request that somebody else answers, by `reply`. */
  add(id: string): void {
    this.#ids.add(id)
  }

  /** Runs a request, and answers it. */
  run(message: RequestMessage): void {
    this.add(message.id)
    const write = isWrite(message)
    const arrivedAt = this.#around.clock.monotonic()
    const run = async (): Promise<void> => this.#answered(message, arrivedAt, await this.#answer(message, write))
    if (write) this.#writes = this.#writes.then(run)
    else void run()
  }

  /** Throws if the reply holds what cannot travel, or too much of it; the request is then still open. */
  reply(id: string, reply: ReplyMessage, write = false): void {
    if (this.#holder.isClosed) return
    const { reply: bytes } = this.#around.limits
    if (!this.#queue.sendWithin(reply, bytes)) {
      const advice = `the answer has more than ${bytes} bytes: ask for fewer rows or fields`
      throw new RtapiError('limit_exceeded', write ? 'The write was done; its answer is too big to be sent.' : advice)
    }
    this.#ids.delete(id)
  }

  /** The connection is closed: nothing is held back any more. */
  close(): void {
    for (const letGo of this.#delays) letGo()
  }

  async #answer(message: RequestMessage, write: boolean): Promise<'ok' | ErrorCode> {
    const { id } = message
    await this.#session.settled()
    if (this.#holder.isClosed) return 'unavailable'
    try {
      if (this.#session.isOver) throw sessionOver()
      const outcome = await this.#around.requests.run(this.#session.current, message)
      const pending = write && !(await this.#ownViewsHaveIt())
      this.reply(id, { type: 'reply', id, ok: true, ...outcome, ...(pending ? { pending } : {}) }, write)
      return 'ok'
    } catch (error) {
      const { resource, action } = message
      if (!(error instanceof RtapiError)) {
        const asked = { resource: printable(resource), action: printable(action) }
        this.#around.report(error, { during: 'request', ...asked, ...this.#holder.whose })
      }
      const told =
        error instanceof RtapiError ? error : new RtapiError('internal', 'The server failed.', { cause: error })
      if (told.code === 'not_found') await this.#delay(this.#holder.missed())
      this.reply(id, { type: 'reply', id, ok: false, error: told.toWire() })
      return told.code
    }
  }

  #answered({ resource, action }: RequestMessage, arrivedAt: number, code: 'ok' | ErrorCode): void {
    const { diagnose, clock } = this.#around
    if (diagnose === undefined) return
    const asked = { resource: printable(resource), action: printable(action) }
    const duration = clock.monotonic() - arrivedAt
    diagnose({ type: 'request.answered', ...this.#holder.whose, ...asked, code, duration })
  }

  /** Holds back for so many milliseconds, or until the connection is closed. */
  #delay(milliseconds: number): Promise<void> {
    if (milliseconds <= 0 || this.#holder.isClosed) return Promise.resolve()
    return new Promise((resolve) => {
      const letGo = (): void => {
        this.#delays.delete(letGo)
        cancel()
        resolve()
      }
      const cancel = this.#around.clock.setTimer(milliseconds, letGo)
      this.#delays.add(letGo)
    })
  }

  /** Waits until what was just written has gone out to this connection's views; `false` if that takes too long. */
  async #ownViewsHaveIt(): Promise<boolean> {
    const shown = this.#holder.viewsSettled()
    if (shown === undefined) return true
    if (shown === 'late') return false
    const { clock, limits } = this.#around
    try {
      await withTimeout(clock, limits.ownWriteTimeout, shown, () => new Error('late'))
      return true
    } catch {
      return false
    }
  }
}

/** What is answered when the session has expired. */
export function sessionOver(): RtapiError {
  return new RtapiError('unauthenticated', 'the session has expired: send auth with new credentials')
}
