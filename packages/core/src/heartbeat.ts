import type { Limits } from './protocol.ts'

/** Watches over the signs of life of one client: after a silence it is asked for one, and then given up. It has no timer. */
export class Heartbeat {
  readonly #limits: Limits
  /** Monotonic milliseconds, as everywhere here. */
  #heardAt: number
  #askedAt: number | undefined

  constructor(limits: Limits, now: number) {
    this.#limits = limits
    this.#heardAt = now
  }

  heard(now: number): void {
    this.#heardAt = now
    this.#askedAt = undefined
  }

  /** What is to be done now: `ask` is answered once for each silence. */
  look(now: number): 'nothing' | 'ask' | 'give up' {
    const { heartbeatInterval, heartbeatTimeout } = this.#limits
    if (this.#askedAt !== undefined) return now - this.#askedAt >= heartbeatTimeout ? 'give up' : 'nothing'
    if (now - this.#heardAt < heartbeatInterval) return 'nothing'
    this.#askedAt = now
    return 'ask'
  }
}
