import type { ClientClock } from './client-clock.ts'
import type { Link } from './link.ts'
import type { Traffic } from './traffic.ts'

/** Milliseconds for a step of a move. Then it is given up, or what is shown is no longer called live. */
const PATIENCE = 10_000

/** What a move needs from the connection. */
export interface MovePort {
  readonly clock: ClientClock
  readonly traffic: Traffic
  /** Other credentials are on their way to the server. */
  authenticating(): boolean
  /** Takes another link as the one in use; answers the one before. */
  use(link: Link): Link | undefined
  /** The move was given up: everything stays where it is. */
  abandoned(): void
}

/**
 * Moves a client from a link that stands to another one that was welcomed, in three steps:
 *
 * 1. *waiting*: writes that were sent are answered on the old link, which the views still follow, so that each view has
 *    what its client has written; new writes wait, since the writes of one client run in order.
 * 2. *carrying*: the views begin on the new link from their positions, and stay shown as they are until they are whole.
 * 3. *finishing*: writes go to the new link; the old one stays until the reads which it was asked are answered.
 *
 * If the old link ends, the move goes on. If the new one ends, everything goes back to the old one in the same way.
 */
export class Move {
  readonly #port: MovePort
  #step: 'none' | 'waiting' | 'carrying' | 'finishing' = 'none'
  #next: Link | undefined
  #former: Link | undefined
  #cancel: (() => void) | undefined

  constructor(port: MovePort) {
    this.#port = port
  }

  /** A move is under way. */
  get isBusy(): boolean {
    return this.#step !== 'none'
  }

  /** The link that is to be the one in use. */
  get next(): Link | undefined {
    return this.#next
  }

  /** The link that was in use before, and still answers what it was asked. */
  get former(): Link | undefined {
    return this.#former
  }

  /** A link was welcomed that is to take the place of the one in use. */
  begin(next: Link): void {
    this.#next = next
    this.#step = 'waiting'
    this.#port.traffic.holdWrites()
    this.#setTimer(() => this.abandon())
    this.check()
  }

  /** Something was answered or shown: takes what steps can be taken. */
  check(): void {
    const { traffic } = this.#port
    if (this.#step === 'waiting' && !this.#port.authenticating() && traffic.inFlight().writes === 0) this.#go('moved')
    if (this.#step === 'carrying' && !traffic.carrying()) {
      this.#cancel?.()
      this.#step = 'finishing'
      traffic.releaseWrites()
    }
    if (this.#step !== 'finishing' || traffic.inFlightBefore().all > 0) return
    this.#step = 'none'
    const former = this.#former
    this.#former = undefined
    former?.close(1000, 'moved')
  }

  /** Gives up a move that has not come further than to wait. */
  abandon(): void {
    const next = this.#next
    if (next === undefined) return
    next.close(1000, 'not needed')
    this.nextEnded()
  }

  /** The next link is over before it was used. */
  nextEnded(): void {
    this.#cancel?.()
    this.#next = undefined
    this.#step = 'none'
    this.#port.traffic.releaseWrites()
    this.#port.abandoned()
  }

  /** The former link is over. */
  formerEnded(): void {
    this.#former = undefined
    this.#port.traffic.lostBefore()
    this.check()
  }

  /** The link in use is gone: goes on with the other one, if there is one, and answers whether there is. */
  takeOver(): boolean {
    const former = this.#former
    if (this.#next !== undefined) this.#go('lost')
    else if (former === undefined) return false
    else {
      this.#former = undefined
      this.#port.traffic.holdWrites()
      this.#carry(former, 'back')
    }
    this.check()
    return true
  }

  /** The connection ends, or begins anew. */
  stop(): void {
    if (this.#step === 'none') return
    this.#cancel?.()
    this.#step = 'none'
    this.#next?.close(1000, 'not needed')
    this.#former?.close(1000, 'not needed')
    const former = this.#former
    this.#next = this.#former = undefined
    if (former !== undefined) this.#port.traffic.lostBefore()
    this.#port.traffic.releaseWrites()
  }

  #go(how: 'moved' | 'lost'): void {
    const next = this.#next
    this.#next = undefined
    if (next !== undefined) this.#carry(next, how)
  }

  #carry(to: Link, how: 'moved' | 'lost' | 'back'): void {
    const before = this.#port.use(to)
    if (how === 'moved') this.#former = before
    this.#step = 'carrying'
    this.#setTimer(() => this.#port.traffic.dropCarried())
    this.#port.traffic.carry(how)
  }

  #setTimer(run: () => void): void {
    this.#cancel?.()
    this.#cancel = this.#port.clock.setTimer(PATIENCE, run)
  }
}
