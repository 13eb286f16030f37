import type { Clock } from './runtime.ts'
import { TokenBucket } from './token-bucket.ts'

/** How many clients a transport lets in. `Infinity` is no limit. */
export interface AcceptLimits {
  /** At once. */
  readonly clients: number
  /** At once from each address, other than this machine's own. */
  readonly clientsPerAddress: number
  /** A second, and at once after a pause. */
  readonly rate: number
}

/** For transports: counts the clients that are in, and says whether one more may come. */
export class AcceptGate {
  readonly #limits: AcceptLimits
  readonly #clock: Pick<Clock, 'monotonic'>
  readonly #tokens: TokenBucket
  readonly #perAddress = new Map<string, number>()
  #total = 0

  constructor(limits: AcceptLimits, clock: Pick<Clock, 'monotonic'>) {
    this.#limits = limits
    this.#clock = clock
    this.#tokens = new TokenBucket(limits.rate, limits.rate, clock.monotonic())
  }

  /** Lets a client in and answers `undefined`, or answers why not, in words for the client. Whoever is in must `leave`. */
  admit(address: string): string | undefined {
    const problem = this.fullness(address) ?? this.haste()
    if (problem === undefined) this.enter(address)
    return problem
  }

  /** Why there is no room for a client from this address, if there is none. */
  fullness(address: string): string | undefined {
    if (this.#total >= this.#limits.clients) return 'The server has as many clients as it takes.'
    if ((this.#perAddress.get(address) ?? 0) >= this.#limits.clientsPerAddress && !standsForMany(address))
      return 'Too many clients come from this address. If it is that of a proxy, set `trustProxy`.'
    return undefined
  }

  /** Why nobody may come just now, if so; else one of the clients of this second has come. */
  haste(): string | undefined {
    if (this.#limits.rate === Infinity || this.#tokens.take(1, this.#clock.monotonic()) === 0) return undefined
    return 'Too many clients come at once.'
  }

  /** Counts a client, whether there is room or not. Whoever is in must `leave`. */
  enter(address: string): void {
    this.#total++
    this.#perAddress.set(address, (this.#perAddress.get(address) ?? 0) + 1)
  }

  leave(address: string): void {
    this.#total--
    const left = (this.#perAddress.get(address) ?? 1) - 1
    if (left === 0) this.#perAddress.delete(address)
    else this.#perAddress.set(address, left)
  }
}

/** A proxy or a program on this machine, which stands for many clients or none; also where no address is known. */
function standsForMany(address: string): boolean {
  return address === '' || address === '::1' || /^(::ffff:)?127\./.test(address)
}
