/**
 * Tells from a timer that comes late that this process cannot keep up. Late once may be a pause of the machine; late twice
 * in a row is too much work. It has no timer of its own.
 */
export class LoopWatch {
  readonly #tolerance: number
  #dueAt: number | undefined
  #wasLate = false
  #lost = 0
  #isBehind = false

  /** @param tolerance - milliseconds that a timer may be late. */
  constructor(tolerance: number) {
    this.#tolerance = tolerance
  }

  /** Work is to be refused until it has gone down. */
  get isBehind(): boolean {
    return this.#isBehind
  }

  /**
   * Milliseconds for which this process has stood still so far. Who measures the silence of others leaves them out: what
   * came meanwhile has not been read.
   */
  get lost(): number {
    return this.#lost
  }

  /** The timer has been set, or, without a time, there is none any more. */
  expect(dueAt: number | undefined): void {
    this.#dueAt = dueAt
    if (dueAt !== undefined) return
    this.#wasLate = false
    this.#isBehind = false
  }

  /** The timer has come. */
  came(now: number): void {
    const late = this.#dueAt === undefined ? 0 : now - this.#dueAt
    const isLate = late > this.#tolerance
    if (isLate) this.#lost += late
    this.#isBehind = isLate && this.#wasLate
    this.#wasLate = isLate
  }
}
