import type { Clock } from './runtime.ts'

/** How long views may show what is no longer so, where nobody announces what happens to the records. */
export interface SweepOptions {
  /** Milliseconds from one look at a view to the next, at the most. */
  readonly interval: number
  /** Milliseconds by which the next look may come earlier: so views that began together part. @default half the interval */
  readonly jitter?: number
}

export interface SweepPlan<T> extends SweepOptions {
  readonly clock: Clock
  /** How many are asked at once. */
  readonly width: number
  things(): Iterable<T>
  /** When this one was asked last, by whomever: monotonic milliseconds. */
  askedAt(thing: T): number
  /** Asks one. Answers `false` if it could not be asked; it comes again sooner then. Never rejects. */
  ask(thing: T): Promise<boolean>
}

interface Turn {
  askedAt: number
  dueAt: number
}

/** An even spread that never repeats: the fractions of multiples of the golden ratio. */
const GOLDEN = (Math.sqrt(5) - 1) / 2
/** The part of the interval after which whoever could not be asked comes again. */
const RETRY = 0.1

/**
 * Asks each of many things anew at a jittered interval, those that have waited longest first. It has no timer of its own:
 * whoever owns it calls `look` again and again.
 */
export class Sweep<T extends object> {
  readonly #plan: SweepPlan<T>
  readonly #jitter: number
  readonly #turns = new WeakMap<T, Turn>()
  /** What was due at the last look, the longest overdue last. */
  #due: T[] = []
  #lookAt = 0
  #running = 0
  #share = Math.random()
  #closed = false

  /** @throws TypeError if the interval is not positive, or shorter than the jitter. */
  constructor(plan: SweepPlan<T>) {
    const { interval, jitter = interval / 2 } = plan
    if (!(interval > 0)) throw new TypeError('sweep.interval: expected milliseconds above 0')
    if (!(jitter >= 0 && jitter <= interval))
      throw new TypeError('sweep.jitter: expected milliseconds from 0 up to the interval')
    this.#plan = plan
    this.#jitter = jitter
  }

  /** Begins with what is due by now. */
  look(): void {
    if (this.#closed) return
    const now = this.#plan.clock.monotonic()
    if (this.#due.length === 0 && now >= this.#lookAt) this.#find(now)
    while (this.#running < this.#plan.width) {
      const next = this.#due.pop()
      if (next === undefined) return
      // Somebody else may have asked it since.
      if (this.#turnOf(next).dueAt <= now) void this.#ask(next)
    }
  }

  /** Nothing is asked any more. */
  close(): void {
    this.#closed = true
    this.#due = []
  }

  #find(now: number): void {
    // Whoever comes later has all of its interval before it.
    this.#lookAt = now + this.#plan.interval - this.#jitter
    const due: { readonly thing: T; readonly dueAt: number }[] = []
    for (const thing of this.#plan.things()) {
      const { dueAt } = this.#turnOf(thing)
      if (dueAt <= now) due.push({ thing, dueAt })
      else this.#lookAt = Math.min(this.#lookAt, dueAt)
    }
    this.#due = due.sort((a, b) => b.dueAt - a.dueAt).map(({ thing }) => thing)
  }

  #turnOf(thing: T): Turn {
    const askedAt = this.#plan.askedAt(thing)
    const known = this.#turns.get(thing)
    if (known !== undefined && known.askedAt >= askedAt) return known
    const turn = { askedAt, dueAt: this.#after(askedAt) }
    this.#turns.set(thing, turn)
    return turn
  }

  #after(time: number): number {
    this.#share = (this.#share + GOLDEN) % 1
    return time + this.#plan.interval - this.#share * this.#jitter
  }

  async #ask(thing: T): Promise<void> {
    const { clock, interval } = this.#plan
    const turn = this.#turnOf(thing)
    turn.askedAt = clock.monotonic()
    turn.dueAt = Number.POSITIVE_INFINITY
    this.#running++
    const isAsked = await this.#plan.ask(thing)
    this.#running--
    turn.dueAt = isAsked ? this.#after(turn.askedAt) : clock.monotonic() + interval * RETRY
    this.#lookAt = Math.min(this.#lookAt, turn.dueAt)
    this.look()
  }
}
