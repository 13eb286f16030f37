/** A token bucket: `rate` units a second, at most `burst` at once. It has no timer; it is filled when it is asked. */
export class TokenBucket {
  readonly #rate: number
  readonly #burst: number
  #units: number
  #filledAt: number

  /** @param now - monotonic milliseconds, as in `take`. */
  constructor(rate: number, burst: number, now: number) {
    this.#rate = rate
    this.#burst = burst
    this.#units = burst
    this.#filledAt = now
  }

  /** Whether nothing has been taken that is not there again. */
  isFull(now: number): boolean {
    this.#fill(now)
    return this.#units >= this.#burst
  }

  /** Takes units in any case, and answers the milliseconds until those before them and they would have been there. */
  owe(units: number, now: number): number {
    this.#fill(now)
    this.#units -= units
    return this.#units >= 0 ? 0 : Math.ceil((-this.#units / this.#rate) * 1_000)
  }

  /** Takes units and answers 0, or takes none and answers the milliseconds until there are enough. */
  take(units: number, now: number): number {
    this.#fill(now)
    if (this.#units >= units) {
      this.#units -= units
      return 0
    }
    return Math.ceil(((units - this.#units) / this.#rate) * 1_000)
  }

  #fill(now: number): void {
    this.#units = Math.min(this.#burst, this.#units + ((now - this.#filledAt) / 1_000) * this.#rate)
    this.#filledAt = now
  }
}
