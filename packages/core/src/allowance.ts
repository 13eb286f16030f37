import type { Limits } from './protocol.ts'
import { TokenBucket } from './token-bucket.ts'

/** Milliseconds within which bad messages are counted together. */
const BAD_MESSAGE_WINDOW = 10_000

/** How much one client may send, and how often it may send what cannot be served. It has no timer. */
export class Allowance {
  readonly #limits: Limits
  readonly #units: TokenBucket
  /** What is refused is not free either: who goes on all the same uses this up. */
  readonly #refusals: TokenBucket
  #bad: number[] = []

  /** @param now - monotonic milliseconds, as everywhere here. */
  constructor(limits: Limits, now: number) {
    this.#limits = limits
    this.#units = new TokenBucket(limits.rate, limits.burst, now)
    this.#refusals = new TokenBucket(limits.rate, limits.burst, now)
  }

  /** Takes units and answers 0, or refuses and answers the milliseconds until there are enough. */
  take(units: number, now: number): number | 'abused' {
    const wait = this.#units.take(units, now)
    return wait > 0 && this.#refusals.take(1, now) > 0 ? 'abused' : wait
  }

  /** Counts a message that could not be read; answers whether it was one too many. */
  countBad(now: number): boolean {
    this.#bad = this.#bad.filter((at) => now - at < BAD_MESSAGE_WINDOW)
    this.#bad.push(now)
    return this.#bad.length >= this.#limits.badMessages
  }
}
