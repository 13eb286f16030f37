import type { ClientClock } from './client-clock.ts'
import type { ClientTransport } from './client-transport.ts'
import type { Link, LinkEnd } from './link.ts'

export interface UpgradeLimits {
  /** Milliseconds: the first and the longest wait before a preferred transport is tried again. They double. */
  readonly upgradeMinimum: number
  readonly upgradeMaximum: number
}

/** What the upgrade needs from the connection. */
export interface UpgradePort {
  readonly clock: ClientClock
  readonly random: () => number
  readonly limits: UpgradeLimits & { readonly connectTimeout: number }
  /** Asks for a token; calls back at once where nothing waits. */
  ask(done: (token: string | null) => void, failed: (error: Error) => void): void
  /** Opens a link that says `hello` with this token, and nothing more. @throws what the transport throws. */
  open(transport: ClientTransport, token: string | null): Link
  /** The server has welcomed a link of a better transport. Answers whether it is of use. */
  found(link: Link): boolean
  failed(transport: ClientTransport, error: Error): void
}

/** While a lesser transport is in use, tries now and then whether a better one gets through by now. */
export class Upgrade {
  readonly #port: UpgradePort
  #better: readonly ClientTransport[] = []
  /** Waits or rounds in a row; the next wait is longer. */
  #rounds = 0
  /** Counts rounds begun or given up: what an earlier one waited for is out of date. */
  #turn = 0
  #waiting = false
  #cancel: (() => void) | undefined
  #candidate: Link | undefined

  constructor(port: UpgradePort) {
    this.#port = port
  }

  /** Begins; these are better than the one in use, the best first. */
  watch(better: readonly ClientTransport[]): void {
    this.stop()
    this.#better = better
    if (better.length > 0) this.#wait()
  }

  /** Gives up what is under way. */
  stop(): void {
    this.#turn++
    this.#cancel?.()
    this.#cancel = undefined
    this.#waiting = false
    this.#better = []
    const candidate = this.#candidate
    this.#candidate = undefined
    candidate?.close(1000, 'not needed')
  }

  /**
   * Gives up an attempt that is under way and tries again later: something has changed that it does not know of. A wait
   * goes on; sessions that are renewed more often than it lasts would put it off for ever.
   */
  restart(): void {
    if (!this.#waiting) this.watch(this.#better)
  }

  /** Tries now, since the network may be another. */
  soon(): void {
    this.#rounds = 0
    if (this.#waiting) this.#round()
  }

  /** The best transport has lasted: the waits start over. */
  lasted(): void {
    this.#rounds = 0
  }

  /** A link that is no longer the connection's business is one that this has opened: answers whether it is. */
  isCandidate(link: Link): boolean {
    return link === this.#candidate
  }

  /** The candidate is welcomed. */
  welcomed(link: Link): void {
    this.#cancel?.()
    this.#cancel = undefined
    this.#candidate = undefined
    // What gets through and does not last must not be tried again and again.
    this.#rounds++
    if (this.#port.found(link)) return
    link.close(1000, 'not needed')
    this.#wait()
  }

  /** The candidate is over. */
  ended(link: Link, end: LinkEnd): void {
    this.#candidate = undefined
    this.#next(link.transport, end.error)
  }

  #wait(): void {
    const { clock, random, limits } = this.#port
    const span = Math.min(limits.upgradeMaximum, limits.upgradeMinimum * 2 ** Math.min(this.#rounds, 30))
    this.#waiting = true
    // Spread, so that clients who were cut off together do not come back together.
    this.#cancel = clock.setTimer(span * (0.75 + random() / 2), () => this.#round())
  }

  #round(): void {
    const [first] = this.#better
    this.#cancel?.()
    this.#waiting = false
    if (first !== undefined) this.#try(first)
  }

  #try(transport: ClientTransport): void {
    const turn = ++this.#turn
    const { clock, limits } = this.#port
    const failed = (error: Error): void => {
      if (turn === this.#turn) this.#next(transport, error)
    }
    this.#cancel = clock.setTimer(limits.connectTimeout, () => failed(new Error('the token did not come in time')))
    this.#port.ask((token) => {
      if (turn !== this.#turn) return
      this.#cancel?.()
      this.#cancel = undefined
      try {
        this.#candidate = this.#port.open(transport, token)
      } catch (error) {
        failed(error instanceof Error ? error : new Error('the transport failed', { cause: error }))
      }
    }, failed)
  }

  /** One has failed: tries the next one that is better than the one in use, or waits. */
  #next(failed: ClientTransport, error: Error): void {
    this.#turn++
    this.#cancel?.()
    this.#port.failed(failed, error)
    const next = this.#better[this.#better.indexOf(failed) + 1]
    if (next !== undefined) return this.#try(next)
    this.#rounds++
    this.#wait()
  }
}
