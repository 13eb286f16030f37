import type { ClientTransport } from './client-transport.ts'

/** Connections in a row that were cut soon after the welcome, until another transport is tried. */
const SHORT_LIVED = 3

/** Why a transport is used that is not the one preferred. */
export interface Fallback {
  /** The name of the preferred transport. */
  readonly from: string
  /** How it last failed. */
  readonly error: Error | undefined
}

/** How a link ended, as far as its transport is concerned. */
export interface TransportEnd {
  /** The server has welcomed the client, or said why not. */
  readonly reached: boolean
  /** Absent: it was not welcomed. */
  readonly lived: 'long' | 'short' | undefined
  readonly error: Error
}

/** Which of the transports to use. What has worked last is used again; after what has not got through, the next. */
export class TransportChoice {
  readonly #transports: readonly ClientTransport[]
  #at = 0
  /** Transports that failed one after the other. */
  #failed = 0
  #shortLived = 0
  #preferredError: Error | undefined

  /** @param transports - in order of preference, at least one. */
  constructor(transports: readonly ClientTransport[]) {
    this.#transports = transports
  }

  /** @throws TypeError if there are no transports at all. */
  get current(): ClientTransport {
    const current = this.#transports[this.#at]
    if (current === undefined) throw new TypeError('transport: expected at least one')
    return current
  }

  /** Those that are preferred to the current one. */
  get better(): readonly ClientTransport[] {
    return this.#transports.slice(0, this.#at)
  }

  /** Others are to be tried at once if the current one fails. */
  get hasNext(): boolean {
    return this.#failed + 1 < this.#transports.length
  }

  get fallback(): Fallback | undefined {
    const [preferred] = this.better
    return preferred && { from: preferred.name, error: this.#preferredError }
  }

  /** The current one has got through. */
  welcomed(): void {
    this.#failed = 0
  }

  /** Another one has got through. */
  use(transport: ClientTransport): void {
    this.#at = this.#transports.indexOf(transport)
    this.#failed = 0
    this.#shortLived = 0
  }

  /** A transport has failed while another one is in use. */
  probeFailed(transport: ClientTransport, error: Error): void {
    if (transport === this.#transports[0]) this.#preferredError = error
  }

  /** A link of the current one has ended; answers whether the next one is to be tried at once. */
  ended({ reached, lived, error }: TransportEnd): boolean {
    if (lived !== undefined) this.#shortLived = lived === 'long' ? 0 : this.#shortLived + 1
    if (reached && (this.#shortLived < SHORT_LIVED || this.#transports.length === 1)) return false
    this.probeFailed(this.current, error)
    this.#shortLived = 0
    this.#at = (this.#at + 1) % this.#transports.length
    this.#failed++
    if (this.#failed < this.#transports.length) return true
    this.#failed = 0
    return false
  }
}
