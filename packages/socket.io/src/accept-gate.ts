/** What bounds the clients that are let in; see `SocketIoOptions`. */
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

  /** Why there is no room for a client from this address now, if there is none. */
  problem(address: string): string | undefined {
    if (this.total >= this.limits.maxConnections) return 'The server has as many connections as it takes.'
    if ((this.perAddress.get(address) ?? 0) >= this.limits.maxConnectionsPerAddress && !isLoopback(address))
      return 'Too many connections from this address. If it is that of a proxy, set `trustProxy`.'
    return undefined
  }

  /** Counts one more. Whoever is in must `leave`. */
  enter(address: string): void {
    this.total++
    this.perAddress.set(address, (this.perAddress.get(address) ?? 0) + 1)
  }

  leave(address: string): void {
    this.total--
    const left = (this.perAddress.get(address) ?? 1) - 1
    if (left === 0) this.perAddress.delete(address)
    else this.perAddress.set(address, left)
  }

  /** Whether a handshake may be looked at: only so many are each second. */
  takeToken(): boolean {
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
