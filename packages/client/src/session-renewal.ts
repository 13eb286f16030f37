import { RtapiError } from '@rtapi/core/protocol'

/** Milliseconds after a renewal within which the next one waits. */
const PAUSE = 20_000

/** What the renewal needs from the connection. */
export interface RenewalPort {
  /** Asks for a token and brings it to the server. Rejects with `RtapiError` if the server refuses it. */
  renew(): Promise<void>
  /** Calls `run` after the n-th wait of the back-off; returns its undo. */
  wait(attempt: number, run: () => void): () => void
  /** Milliseconds that only grow. */
  now(): number
  /** Why the renewal fails; absent when it has succeeded. */
  problem(error: Error | undefined): void
}

/** Renews the session of a link when the server says that it is about to expire, for as long as the link stands. */
export class SessionRenewal {
  readonly #port: RenewalPort
  /** Counts links: the outcome of a renewal begun on an earlier one is no longer of interest. */
  #turn = 0
  #cancel: (() => void) | undefined
  #lastAt = Number.NEGATIVE_INFINITY
  #count = 0

  constructor(port: RenewalPort) {
    this.#port = port
  }

  /** The server says so. A session that is short from the start is said to expire all the time: then there are pauses. */
  expiring(): void {
    if (this.#cancel !== undefined) return
    if (this.#port.now() - this.#lastAt < PAUSE) return this.#later(this.#count++)
    this.#count = 0
    this.#renew(0)
  }

  /** The link is gone. */
  stop(): void {
    this.#turn++
    this.#cancel?.()
    this.#cancel = undefined
  }

  #later(attempt: number): void {
    this.#cancel?.()
    this.#cancel = this.#port.wait(attempt, () => {
      this.#cancel = undefined
      this.#renew(attempt + 1)
    })
  }

  #renew(attempt: number): void {
    this.#lastAt = this.#port.now()
    const turn = this.#turn
    this.#port.renew().then(
      () => {
        if (turn === this.#turn) this.#port.problem(undefined)
      },
      (error: unknown) => {
        if (turn !== this.#turn) return
        this.#port.problem(error instanceof Error ? error : new Error('the renewal failed', { cause: error }))
        // The server's word is final, it will close the link; a source that failed is asked again while there is time.
        if (!(error instanceof RtapiError)) this.#later(attempt)
      },
    )
  }
}
