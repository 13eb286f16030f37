/** What bounds the clients that are let in; see `HttpOptions`. */
export interface GateLimits {
  readonly maxSessions: number
  readonly maxSessionsPerAddress: number
  readonly acceptRate: number
}

/** Counts clients, and says whether one more may come. */
export class AcceptGate {
  readonly #limits: GateLimits
  readonly #monotonic: () => number
  readonly #perAddress = new Map<string, number>()
  #total = 0
  #tokens: number
  #filledAt: number

  constructor(limits: GateLimits, monotonic: () => number) {
    this.#limits = limits
    this.#monotonic = monotonic
    this.#tokens = limits.acceptRate
    this.#filledAt = monotonic()
  }

  /** Lets a client in and answers `undefined`, or answers why not. Whoever is in must `leave`. */
  enter(address: string): string | undefined {
    if (this.#total >= this.#limits.maxSessions) return 'The server has as many clients as it takes.'
    const fromThere = this.#perAddress.get(address) ?? 0
    if (fromThere >= this.#limits.maxSessionsPerAddress && !isLoopback(address))
      return 'Too many clients come from this address. If it is that of a proxy, set `trustProxy`.'
    if (!this.#takeToken()) return 'Too many clients come at once.'
    this.#total++
    this.#perAddress.set(address, fromThere + 1)
    return undefined
  }

  leave(address: string): void {
    this.#total--
    const left = (this.#perAddress.get(address) ?? 1) - 1
    if (left === 0) this.#perAddress.delete(address)
    else this.#perAddress.set(address, left)
  }

  #takeToken(): boolean {
    const { acceptRate } = this.#limits
    if (acceptRate === Infinity) return true
    const now = this.#monotonic()
    this.#tokens = Math.min(acceptRate, this.#tokens + ((now - this.#filledAt) / 1000) * acceptRate)
    this.#filledAt = now
    if (this.#tokens < 1) return false
    this.#tokens--
    return true
  }
}

/** A proxy or a program on this machine, which stands for many clients or none; also where no address is known. */
function isLoopback(address: string): boolean {
  return address === '' || address === '::1' || /^(::ffff:)?127\./.test(address)
}
