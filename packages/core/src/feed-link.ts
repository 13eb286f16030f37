import type { Delivery, Feed, FeedMember, FeedSnapshot, Shown } from './feed.ts'
import type { ResetReason, ServerMessage, WireChange } from './protocol.ts'
import { PendingChanges, type QueueMember, type SendQueue } from './send-queue.ts'
import { type KeyId, keyId } from './value.ts'

/** What a link tells its connection. */
export interface LinkOwner {
  readonly queue: SendQueue
  linkDropped(link: FeedLink, reason: ResetReason): void
}

/**
 * One connection's share in a feed, for all of its subscriptions that ask for the same: one frame serves them all.
 * While the session's permissions are being asked anew it holds everything back.
 */
export class FeedLink implements FeedMember, QueueMember {
  readonly handle: string
  feed: Feed
  /** Ids of the subscriptions it serves. */
  readonly subscriptions: Set<string> = new Set()
  queued: PendingChanges | undefined
  #held: PendingChanges | undefined
  readonly #owner: LinkOwner
  /** The owner's: asked for every delivery, and a step less. */
  readonly #queue: SendQueue

  constructor(owner: LinkOwner, feed: Feed, handle: string) {
    this.#owner = owner
    this.#queue = owner.queue
    this.feed = feed
    this.handle = handle
  }

  /** Whether the client has been sent all that the feed has said. */
  get isCurrent(): boolean {
    return this.#held === undefined && this.queued === undefined
  }

  deliver(delivery: Delivery): void {
    if (this.#held === undefined) this.#queue.sendChanges(this, delivery)
    else this.#held.add(delivery, this.#queue.sizeOf(delivery))
  }

  dropped(reason: ResetReason): void {
    this.#owner.linkDropped(this, reason)
  }

  /** From now on nothing goes out, nor what still waits in the queue. */
  hold(): void {
    this.#held ??= this.#queue.take(this) ?? new PendingChanges(this.handle)
  }

  /** Nothing has changed: what was held back goes out. */
  release(): void {
    const held = this.#held
    this.#held = undefined
    if (held !== undefined) this.#queue.sendPending(this, held)
  }

  /**
   * Goes on with another feed under the same handle, as the session's scope has changed: the client is sent the
   * difference between what it shows and what the new feed shows.
   */
  move(feed: Feed, snapshot: FeedSnapshot): void {
    const shown = this.#shownByClient()
    const from = this.#held?.from ?? this.feed.position
    this.feed.detach(this)
    this.feed = feed
    this.#held = undefined
    const changes: WireChange[] = []
    const kept = new Set<KeyId>()
    for (const { row, hash } of snapshot.rows) {
      const id = keyId(row.key)
      kept.add(id)
      const had = shown.get(id)
      if (had === undefined) changes.push({ action: 'create', ...row })
      else if (had.hash !== hash) changes.push({ action: 'update', ...row })
    }
    for (const [id, { key }] of shown) if (!kept.has(id)) changes.push({ action: 'delete', key })
    const message: ServerMessage = { type: 'changes', feed: this.handle, from, to: snapshot.position, changes }
    this.#queue.send(message)
    feed.attach(this)
  }

  /** What the feed shows, less what was held back and never sent. */
  #shownByClient(): Map<KeyId, Shown> {
    const shown = new Map<KeyId, Shown>(this.feed.shown)
    for (const id of this.feed.unsent) {
      const there = shown.get(id)
      if (there !== undefined) shown.set(id, { key: there.key, hash: Number.NaN })
    }
    for (const [id, { action, key }] of this.#held?.changes ?? []) {
      if (action === 'create' || action === 'enter') shown.delete(id)
      // The client has an older state, of which the hash is not known: never equal.
      else shown.set(id, { key, hash: Number.NaN })
    }
    return shown
  }
}
