import type { Feed, FeedWaiter } from './feed.ts'
import type { FeedLink } from './feed-link.ts'
import type { SubscribeMessage } from './protocol.ts'
import type { ResourceModel } from './resource-model.ts'

/** One client's standing request. */
export interface Subscription {
  readonly id: string
  readonly message: SubscribeMessage
  /** Set once the resource is known. */
  model: ResourceModel | undefined
  /** While it waits for a snapshot. */
  waiting: { readonly feed: Feed; readonly waiter: FeedWaiter } | undefined
  /** While it is live. */
  link: FeedLink | undefined
  /** Only the first snapshot can continue where the client left off. */
  resumes: boolean
  /** What it was to be sent has been given up: it starts over when there is room. */
  givenUp: boolean
  /** Counts its beginnings: an answer to an earlier one is void. */
  turn: number
}

/** A subscription that has not begun yet. */
export function newSubscription(message: SubscribeMessage): Subscription {
  const { id, since } = message
  return {
    id,
    message,
    model: undefined,
    waiting: undefined,
    link: undefined,
    resumes: since !== undefined,
    givenUp: false,
    turn: 0,
  }
}
