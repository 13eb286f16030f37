import {
  type ChangesMessage,
  type EndMessage,
  type Key,
  type OrderTerm,
  type ResetMessage,
  type Row,
  type SnapshotMessage,
  type SubscribeMessage,
  type WireRow,
} from '@rtapi/core/protocol'
import { errorFromWire } from './errors.ts'
import type { KnownRows } from './known-rows.ts'
import { ViewRows } from './view-rows.ts'
import type { ViewState } from './live-view.ts'

/** What a subscription asks for, always the same; id and position are of the link. */
export type SubscriptionQuery = Omit<SubscribeMessage, 'type' | 'id' | 'since' | 'have'>

/** What a subscription needs from those around it. */
export interface SubscriptionPort {
  newId(): string
  /** Milliseconds that only grow. */
  now(): number
  /** The server's limits: bytes of a frame, keys in `have`. */
  limits(): { readonly frame: number; readonly have: number }
  /** Bytes of a message on the link in use. */
  bytes(message: SubscribeMessage): number
  /** Ends the subscription of this id at the server. */
  leave(id: string): void
  /** Subscribes again: now, or after the n-th wait of the back-off, but not before `least` milliseconds. */
  again(subscription: Subscription, wait: { readonly attempt: number; readonly least: number } | 'now'): void
  /** The view is whole: from its position, or by a new snapshot. */
  recovered(how: 'resumed' | 'reset'): void
}

/** Milliseconds after which a view that stayed live is well: what befalls it then is not the trouble of before. */
const WELL = 5_000

interface Parts {
  readonly rows: WireRow[]
  readonly order: readonly OrderTerm[] | undefined
  next: number
}

/**
 * One standing request over all links: follows the protocol from `subscribe` to `end`, and keeps the rows. Its view shows
 * nothing of a snapshot before it is whole, and goes on from its position after a lost link or a gap.
 */
export class Subscription {
  /** Its id on the current link; absent while it is not subscribed there. */
  id: string | undefined
  /** The feed whose changes concern it, once its snapshot is whole. */
  feed: string | undefined
  readonly #rows: ViewRows
  readonly #query: SubscriptionQuery
  readonly #port: SubscriptionPort
  #position: string | undefined
  /** The rows are those of a whole view, now or before. */
  #whole = false
  #live = false
  /** It was live on the link before, and will be on this one as soon as that has made it whole. */
  #carried = false
  #resuming = false
  #parts: Parts | undefined
  #ended: 'closed' | 'with-connection' | undefined
  #error: Error | undefined
  /** Gaps and ends since the view was last well for a while. */
  #trouble = 0
  #liveSince = 0

  constructor(query: SubscriptionQuery, known: KnownRows, port: SubscriptionPort) {
    this.#query = query
    this.#rows = new ViewRows(known)
    this.#port = port
  }

  get state(): ViewState<Row> {
    const status =
      this.#ended !== undefined ? 'ended' : this.#live || this.#carried ? 'live' : this.#whole ? 'stale' : 'loading'
    return { rows: this.#rows.rows, status, error: this.#error }
  }

  /** Waits for the end of a snapshot. */
  get awaiting(): boolean {
    return this.id !== undefined && !this.#live
  }

  /** Shown as live while another link takes over. */
  get carried(): boolean {
    return this.#carried
  }

  get closed(): boolean {
    return this.#ended === 'closed'
  }

  /** Shows rows of a whole view, current or not. */
  get whole(): boolean {
    return this.#whole
  }

  row(key: Key): Row | undefined {
    return this.#rows.get(key)
  }

  /** Begins on a link: answers what to send. */
  begin(): SubscribeMessage | undefined {
    if (this.#ended !== undefined) return undefined
    const carried = this.#carried
    this.#forgetLink()
    this.#carried = carried
    this.id = this.#port.newId()
    const message: SubscribeMessage = { type: 'subscribe', id: this.id, ...this.#query }
    const resumed = this.#resume(message)
    this.#resuming = resumed !== undefined
    return resumed ?? message
  }

  /**
   * Begins on another link which takes over from one that stands: what was live stays so, with the rows as they are, until
   * the new link has made it whole. Answers what to send.
   */
  carry(): SubscribeMessage | undefined {
    const shownLive = this.#live || this.#carried
    const message = this.begin()
    this.#carried = shownLive && message !== undefined
    return message
  }

  /** The new link takes too long: what is shown can no longer be called live. */
  dropCarried(): void {
    this.#carried = false
  }

  #resume(message: SubscribeMessage): SubscribeMessage | undefined {
    const limits = this.#port.limits()
    if (!this.#whole || this.#position === undefined || this.#rows.size > limits.have) return undefined
    const resumed = { ...message, since: this.#position, have: this.#rows.keys }
    return this.#port.bytes(resumed) > limits.frame ? undefined : resumed
  }

  #forgetLink(): void {
    this.id = undefined
    this.feed = undefined
    this.#parts = undefined
    this.#live = this.#carried = false
  }

  /**
   * Takes a part of a snapshot.
   * @param log - the changes that came since the subscription began, of all feeds.
   */
  snapshot(message: SnapshotMessage, log: readonly ChangesMessage[]): void {
    if (this.#live) {
      // Nobody asked for it: the server starts the view over.
      this.#live = this.#resuming = false
      this.feed = undefined
    }
    if (message.part === 0) this.#parts = { rows: [], order: message.order, next: 0 }
    const parts = this.#parts
    if (parts === undefined || message.part !== parts.next) return this.#retry(0)
    parts.next++
    for (const row of message.rows) parts.rows.push(row)
    if (!message.done) return
    if (this.#resuming) this.#rows.merge(parts.rows, parts.order)
    else this.#rows.replace(parts.rows, parts.order)
    this.#parts = undefined
    this.feed = message.feed
    this.#position = message.position
    this.#live = true
    this.#carried = false
    this.#liveSince = this.#port.now()
    this.#error = undefined
    this.#whole = true
    this.#port.recovered(this.#resuming ? 'resumed' : 'reset')
    this.#catchUp(log.filter(({ feed }) => feed === message.feed))
  }

  /**
   * Another view may share the feed, and its changes may have come between the parts of this snapshot: those after the
   * snapshot's position are taken now. Where the position is not among them it cannot be told what is missing.
   */
  #catchUp(log: readonly ChangesMessage[]): void {
    const first = log.findIndex(({ from }) => from === this.#position)
    if (first >= 0) for (const message of log.slice(first)) this.changes(message)
    else if (log.length > 0 && log.at(-1)?.to !== this.#position) this.#retry(0)
  }

  /** Takes the changes of its feed: all of them or none. */
  changes(message: ChangesMessage): void {
    if (!this.#live) return
    // A message that ends at the view's position tells nothing new, except what a resumed view has too much.
    const known = this.#position === undefined || message.from === this.#position || message.to === this.#position
    if (!known) return this.#retry(0)
    this.#rows.apply(message.changes)
    this.#position = message.to
  }

  /** The server cannot prove the view whole, and will send a new snapshot. */
  reset(message: ResetMessage): void {
    this.feed = undefined
    this.#position = undefined
    this.#parts = undefined
    this.#live = this.#carried = this.#resuming = false
    if (message.reason === 'policy') this.drop()
  }

  /** The server has ended it. */
  end({ error, again }: EndMessage): void {
    this.id = undefined
    if (again ?? error?.retryable ?? false) {
      // While it is carried the trouble is the new link's, such as too many subscriptions at once, and soon over.
      const carried = this.#carried
      if (!carried) this.#error = error && errorFromWire(error)
      this.#retry(error?.retryAfter ?? 1)
      this.#carried = carried
      return
    }
    this.#error = error && errorFromWire(error)
    this.#forgetLink()
    this.#ended = 'closed'
    if (error?.code === 'forbidden' || error?.code === 'unauthenticated') this.drop()
  }

  /** Begins anew under another id. A first gap does not wait; what keeps failing does. */
  #retry(least: number): void {
    if (this.#live && this.#port.now() - this.#liveSince >= WELL) this.#trouble = 0
    const attempt = this.#trouble++
    if (this.id !== undefined) this.#port.leave(this.id)
    this.#forgetLink()
    this.#port.again(this, attempt === 0 && least === 0 ? 'now' : { attempt, least })
  }

  /** The link is gone; the next one goes on from the position. */
  lost(): void {
    this.#forgetLink()
    this.#trouble = 0
  }

  /** Forgets the rows: they are no longer this client's to show. */
  drop(): void {
    this.#rows.clear()
    this.#position = undefined
    this.#whole = false
  }

  /** The connection is over until someone starts it again. */
  suspend(error: Error): void {
    this.#forgetLink()
    if (this.#ended !== undefined) return
    this.#ended = 'with-connection'
    this.#error = error
  }

  /** The connection starts again. */
  revive(): void {
    if (this.#ended !== 'with-connection') return
    this.#ended = undefined
    this.#error = undefined
  }

  /** Closed by its owner. */
  close(): void {
    if (this.#ended === 'closed') return
    if (this.id !== undefined) this.#port.leave(this.id)
    this.#forgetLink()
    this.#ended = 'closed'
    this.#error = undefined
  }
}
