/** What bounds the clients that are let in; see `WebSocketOptions`. */
export interface GateLimits {
  readonly maxConnections: number
  readonly maxConnectionsPerAddress: number
  readonly acceptRate: number
}

/** Counts clients, and says whether one more may come. */
export class AcceptGate {
  private readonly limits: GateLimits
  private readonly monotonic: () => number
  private readonly perAddress = new Map<string, number>()
  private total = 0
  private tokens: number
  private filledAt: number

  constructor(limits: GateLimits, monotonic: () => number) {
    this.limits = limits
    this.monotonic = monotonic
    this.tokens = limits.acceptRate
    this.filledAt = monotonic()
  }

  /** Lets a client in and answers `undefined`, or answers why not. Whoever is in must `leave`. */
  enter(address: string): string | undefined {
    if (this.total >= this.limits.maxConnections) return 'The server has as many connections as it takes.'
    const fromThere = this.perAddress.get(address) ?? 0
    if (fromThere >= this.limits.maxConnectionsPerAddress && !isLoopback(address))
      return 'Too many connections from this address. If it is that of a proxy, set `trustProxy`.'
    if (!this.takeToken()) return 'Too many clients connect at once.'
    this.total++
    this.perAddress.set(address, fromThere + 1)
    return undefined
  }

  leave(address: string): void {
    this.total--
    const left = (this.perAddress.get(address) ?? 1) - 1
    if (left === 0) this.perAddress.delete(address)
    else this.perAddress.set(address, left)
  }

  private takeToken(): boolean {
    const { acceptRate } = this.limits
    if (acceptRate === Infinity) return true
    const now = this.monotonic()
    this.tokens = Math.min(acceptRate, this.tokens + ((now - this.filledAt) / 1000) * acceptRate)
    this.filledAt = now
    if (this.tokens < 1) return false
    this.tokens--
    return true
  }
}

/** A proxy or a program on this machine, which stands for many clients or none. */
function isLoopback(address: string): boolean {
  return address === '::1' || /^(::ffff:)?127\./.test(address)
}
