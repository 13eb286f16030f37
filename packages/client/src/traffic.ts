import type { InFlight, Requests } from './requests.ts'
import type { Subscriptions } from './subscriptions.ts'

/** What goes over links, as far as a move from one link to another is concerned. */
export interface Traffic {
  /** Requests that the link in use has not answered. */
  inFlight(): InFlight
  /** Requests that the link before it has not answered. */
  inFlightBefore(): InFlight
  /** From now on writes wait. */
  holdWrites(): void
  releaseWrites(): void
  /**
   * Another link is in use. `moved`: the one before stands and answers what it was asked. `lost`: the one before is gone.
   * `back`: the one in use is gone, and the one before is in use again.
   */
  carry(how: 'moved' | 'lost' | 'back'): void
  /** Views are shown as live which the link in use has not made whole. */
  carrying(): boolean
  /** They are no longer shown as live. */
  dropCarried(): void
  /** The link before is gone. */
  lostBefore(): void
}

/** The traffic of a client. Both are asked for when they are needed, since they come after their connection. */
export function trafficOf(requests: () => Requests, subscriptions: () => Subscriptions): Traffic {
  return {
    inFlight: () => requests().inFlight,
    inFlightBefore: () => requests().inFlightBefore,
    holdWrites: () => requests().hold(),
    releaseWrites: () => requests().release(),
    carry(how) {
      if (how === 'moved') requests().moved()
      else if (how === 'lost') requests().lost()
      else requests().movedBack()
      subscriptions().carry(how === 'back' ? 'back' : 'another')
      requests().pump()
    },
    carrying: () => subscriptions().carrying,
    dropCarried() {
      subscriptions().dropCarried()
      subscriptions().flush()
    },
    lostBefore: () => requests().lostBefore(),
  }
}
