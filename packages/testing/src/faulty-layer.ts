import type {
  ChannelLayer,
  Clock,
  LayerEntry,
  LayerEvents,
  LogEntry,
  Position,
  PresenceKeeper,
  ResultKeeper,
} from '@rtapi/core'
import { type SeededRandom, seededRandom } from './seeded-random.ts'

/** What goes wrong, each with its probability for one entry or one call. */
export interface LayerFaults {
  /** An entry does not arrive. */
  readonly drop?: number
  /** An entry arrives twice. */
  readonly duplicate?: number
  /** An entry arrives after the one that follows it. */
  readonly reorder?: number
  /** An entry arrives later, by up to `delay` milliseconds; those of its group wait for it. */
  readonly late?: number
  /** @default 2_000 */
  readonly delay?: number
  /** A `join`, `publish` or `history`, or a call about results or presence, rejects; it may have been done all the same. */
  readonly fail?: number
  /** `history` answers `gone`. */
  readonly forget?: number
}

/** How often each fault was injected: a test of faults proves by it that there were any. */
export type InjectedFaults = Readonly<Record<Exclude<keyof LayerFaults, 'delay'> | 'cut', number>>

export interface FaultyLayer extends ChannelLayer {
  readonly injected: InjectedFaults
  /** Nothing arrives and every call rejects, until `heal`. */
  cut(): void
  /** Ends all faults. What is late still arrives; if anything was lost, the layer says so by `lost`. */
  heal(): void
}

/**
 * Puts faults between a layer and whoever uses it. The same seed makes the same faults, if the same happens.
 * @param options.clock - measures how late entries are.
 */
export function faultyLayer(
  layer: ChannelLayer,
  options: { readonly seed: number; readonly clock: Clock; readonly faults?: LayerFaults },
): FaultyLayer {
  return new Faulty(layer, seededRandom(options.seed), options.clock, options.faults ?? {})
}

class Faulty implements FaultyLayer {
  readonly injected: Record<keyof InjectedFaults, number> = {
    drop: 0,
    duplicate: 0,
    reorder: 0,
    late: 0,
    fail: 0,
    forget: 0,
    cut: 0,
  }
  readonly results?: ResultKeeper
  readonly presence?: PresenceKeeper
  readonly #layer: ChannelLayer
  readonly #random: SeededRandom
  readonly #clock: Clock
  #faults: LayerFaults
  #events: LayerEvents | undefined
  #isCut = false
  #isIncomplete = false
  /** Entries that wait for the next one. */
  #held: (() => void)[] = []
  /** When the last late entry of a group arrives. */
  readonly #due = new Map<string, number>()
  readonly #timers = new Set<() => void>()

  constructor(layer: ChannelLayer, random: SeededRandom, clock: Clock, faults: LayerFaults) {
    this.#layer = layer
    this.#random = random
    this.#clock = clock
    this.#faults = faults
    const { results, presence } = layer
    if (presence !== undefined) {
      this.presence = {
        write: (write) => this.#call(() => presence.write(write)),
        read: (labels) => this.#call(() => presence.read(labels)),
        forget: (process) => this.#call(() => presence.forget(process)),
      }
    }
    if (results === undefined) return
    this.results = {
      reserve: (reservation) => this.#call(() => results.reserve(reservation)),
      settle: (held, result, ttl) => this.#call(() => results.settle(held, result, ttl)),
      release: (held) => this.#call(() => results.release(held)),
      close: () => results.close(),
    }
  }

  async open(events: LayerEvents): Promise<void> {
    this.#events = events
    await this.#layer.open({
      deliver: (group, position, entry) => this.#receive(group, position, entry),
      lost: (group) => {
        if (!this.#isCut) this.#events?.lost(group)
      },
    })
  }

  async join(group: string): Promise<Position> {
    return await this.#call(() => this.#layer.join(group))
  }

  async leave(group: string): Promise<void> {
    await this.#layer.leave(group)
  }

  async publish(group: string, entry: LayerEntry): Promise<Position> {
    return await this.#call(() => this.#layer.publish(group, entry))
  }

  async history(group: string, since: Position): Promise<readonly LogEntry[] | 'gone'> {
    const history = await this.#call(() => this.#layer.history(group, since))
    return this.#happens('forget') ? 'gone' : history
  }

  async close(): Promise<void> {
    this.#events = undefined
    for (const cancel of this.#timers) cancel()
    this.#timers.clear()
    await this.#layer.close()
  }

  cut(): void {
    this.#isCut = true
  }

  heal(): void {
    this.#faults = {}
    this.#isCut = false
    this.#releaseHeld()
    if (this.#isIncomplete) this.#events?.lost()
    this.#isIncomplete = false
  }

  #happens(fault: Exclude<keyof LayerFaults, 'delay'>): boolean {
    const happens = this.#random.chance(this.#faults[fault] ?? 0)
    if (happens) this.injected[fault]++
    return happens
  }

  /** The call may fail before it is done, or after: its caller cannot tell. */
  async #call<T>(work: () => T | Promise<T>): Promise<T> {
    if (this.#isCut) {
      this.injected.cut++
      throw new Error('the layer is cut off')
    }
    const fails = this.#happens('fail')
    if (fails && this.#random.chance(0.5)) throw new Error('the call failed before it was done')
    const result = await work()
    if (fails) throw new Error('the call failed after it was done')
    return result
  }

  #receive(group: string, position: Position, entry: LayerEntry): void {
    const deliver = (): void => this.#events?.deliver(group, position, entry)
    if (this.#isCut || this.#happens('drop')) {
      if (this.#isCut) this.injected.cut++
      this.#isIncomplete = true
      return
    }
    if (this.#happens('reorder')) {
      this.#held.push(() => this.#deliver(group, deliver))
      return
    }
    this.#deliver(group, deliver)
    if (this.#happens('duplicate')) this.#deliver(group, deliver)
    this.#releaseHeld()
  }

  #deliver(group: string, deliver: () => void): void {
    const now = this.#clock.monotonic()
    const delay = this.#happens('late') ? this.#random.integer((this.#faults.delay ?? 2_000) + 1) : 0
    const due = Math.max(now + delay, this.#due.get(group) ?? 0)
    if (due <= now) return deliver()
    this.#due.set(group, due)
    const cancel = this.#clock.setTimer(due - now, () => {
      this.#timers.delete(cancel)
      deliver()
    })
    this.#timers.add(cancel)
  }

  #releaseHeld(): void {
    const held = this.#held
    this.#held = []
    for (const deliver of held) deliver()
  }
}
