/**
 * Tells from a timer that comes late that this process cannot keep up. Late once may be a pause of the machine; late twice
 * in a row is too much work. It has no timer of its own.
 */
export class LoopWatch {
  readonly #tolerance: number
  #dueAt: number | undefined
  #wasLate = false
  #isBehind = false

  /** @param tolerance - milliseconds that a timer may be late. */
  constructor(tolerance: number) {
    this.#tolerance = tolerance
  }

  /** Work is to be refused until it has gone down. */
  get isBehind(): boolean {
    return this.#isBehind
  }

  /** The timer has been set, or, without a time, there is none any more. */
  expect(dueAt: number | undefined): void {
    this.#dueAt = dueAt
    if (dueAt !== undefined) return
    this.#wasLate = false
    this.#isBehind = false
  }

  /** The timer has come. `paused`: this process stood still, and a silence since then may be its own. */
  came(now: number): 'in time' | 'paused' | 'behind' {
    const isLate = this.#dueAt !== undefined && now - this.#dueAt > this.#tolerance
    this.#isBehind = isLate && this.#wasLate
    this.#wasLate = isLate
    if (!isLate) return 'in time'
    return this.#isBehind ? 'behind' : 'paused'
  }
}
