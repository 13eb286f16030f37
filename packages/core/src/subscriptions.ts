import type { Access } from './access.ts'
import type { Diagnose } from './diagnostics.ts'
import type { Feed, FeedSnapshot, FeedWaiter } from './feed.ts'
import { FeedLink, type LinkOwner } from './feed-link.ts'
import { type FeedSpec, feedSpec } from './feed-spec.ts'
import type { Group, GroupHub } from './group-hub.ts'
import { type Limits, type ResetReason, RtapiError, type SubscribeMessage, errorCodes, printable } from './protocol.ts'
import type { Requests } from './requests.ts'
import type { ResourceModel } from './resource-model.ts'
import type { Report } from './runtime.ts'
import type { SendQueue } from './send-queue.ts'
import type { Session } from './session.ts'
import { type ResumePoint, keptKeys, resumePoint, snapshotMessages } from './snapshot.ts'
import type { StoreReader } from './store-reader.ts'
import { type Subscription, newSubscription } from './subscription.ts'

/** What the subscriptions of a connection need around them. */
export interface SubscriptionSurroundings {
  readonly hub: GroupHub
  readonly limits: Limits
  readonly report: Report
  readonly diagnose: Diagnose | undefined
  readonly requests: Requests
  readerOf(model: ResourceModel): StoreReader
}

/**
 * The subscriptions of one connection. Each goes: ask the permission, wait for a snapshot of its feed, attach, live; and
 * from anywhere to its end. Whenever the permission may have changed, nothing more goes out until it has been asked anew.
 */
export class Subscriptions implements LinkOwner {
  readonly queue: SendQueue
  readonly #around: SubscriptionSurroundings
  #session: Session
  readonly #subscriptions = new Map<string, Subscription>()
  readonly #links = new Set<FeedLink>()
  /** Answers of permissions under way. */
  readonly #asked = new Map<ResourceModel, Promise<Access>>()
  /** Links whose permissions are being asked anew. */
  readonly #refreshing = new Set<Promise<void>>()
  /** Counts, for each link, how often it had to be asked anew. */
  readonly #turns = new Map<FeedLink, number>()
  #paused = false
  #closed = false

  constructor(queue: SendQueue, session: Session, around: SubscriptionSurroundings) {
    this.queue = queue
    this.#session = session
    this.#around = around
  }

  get size(): number {
    return this.#subscriptions.size
  }

  has(id: string): boolean {
    return this.#subscriptions.has(id)
  }

  open(message: SubscribeMessage): void {
    const { id } = message
    const max = this.#around.limits.subscriptions
    if (this.#subscriptions.size >= max) {
      const error = new RtapiError('limit_exceeded', `a connection holds at most ${max} subscriptions`)
      this.queue.send({ type: 'end', id, error: error.toWire() })
      return
    }
    const subscription = newSubscription(message)
    this.#subscriptions.set(id, subscription)
    void this.#begin(subscription)
  }

  /** Ends a subscription; one that is not there has ended already. */
  unsubscribe(id: string): void {
    const subscription = this.#subscriptions.get(id)
    if (subscription !== undefined) this.#remove(subscription)
    this.queue.send({ type: 'end', id })
  }

  /** Asks the permission of all subscriptions to a resource anew, or of all there are. */
  refresh(session: Session, model?: ResourceModel): void {
    this.#session = session
    if (model === undefined) this.#asked.clear()
    else this.#asked.delete(model)
    this.#hold(model)
    if (this.#paused) return
    for (const subscription of this.#subscriptions.values()) {
      if (subscription.link !== undefined || (model !== undefined && subscription.model !== model)) continue
      this.#cancelWaiting(subscription)
      void this.#begin(subscription)
    }
    for (const link of this.#links) {
      if (model !== undefined && link.feed.spec.model !== model) continue
      const refreshing = this.#refreshLink(link).finally(() => this.#refreshing.delete(refreshing))
      this.#refreshing.add(refreshing)
    }
  }

  /**
   * Asks the permissions of what is live in these resources, though nothing is known to have changed, and nothing is held
   * back meanwhile. If the answer is another one, they are asked anew as in `refresh`. Answers `false` if a rule failed:
   * what is live goes on.
   */
  async review(models: Iterable<ResourceModel>): Promise<boolean> {
    let isAsked = true
    for (const model of models) {
      if (this.#paused || this.#closed || !this.#isLive(model)) continue
      try {
        const access = await this.#accessTo(model)
        if (!this.#paused && !this.#closed && !this.#isAsBefore(model, access)) this.refresh(this.#session, model)
      } catch (error) {
        if (error instanceof RtapiError && errorCodes[error.code].retryable) isAsked = false
        else if (!this.#paused && !this.#closed) this.refresh(this.#session, model)
      }
    }
    return isAsked
  }

  #isLive(model: ResourceModel): boolean {
    for (const link of this.#links) if (link.feed.spec.model === model) return true
    return false
  }

  /** Whether all that is live in the resource would be the same if it began now. */
  #isAsBefore(model: ResourceModel, access: Access): boolean {
    for (const { message, link } of this.#subscriptions.values()) {
      if (link?.feed.spec.model !== model) continue
      if (feedSpec(model, message, access, this.#around.limits).text !== link.feed.spec.text) return false
    }
    return true
  }

  /** Stops all delivery until `resume`: the session is in question, or has expired. */
  pause(): void {
    this.#paused = true
    this.#hold(undefined)
    for (const subscription of this.#subscriptions.values())
      if (subscription.link === undefined) this.#cancelWaiting(subscription)
  }

  /** Holds back what was made under permissions that may have changed; a snapshot under way is made anew. */
  #hold(model: ResourceModel | undefined): void {
    for (const link of this.#links) {
      if (model !== undefined && link.feed.spec.model !== model) continue
      for (const id of link.subscriptions) {
        const subscription = this.#subscriptions.get(id)
        if (subscription !== undefined && this.queue.hasSnapshot(id)) this.#startOver(subscription, 'policy')
      }
      if (link.subscriptions.size > 0) link.hold()
    }
  }

  /** Ends the pause; the permissions are asked anew. */
  resume(session: Session): void {
    this.#paused = false
    this.refresh(session)
  }

  /** Settles when no permission is being asked anew. */
  async settled(): Promise<void> {
    await Promise.all(this.#refreshing)
  }

  /** What was waiting to be sent is given up: the views concerned start over when there is room. */
  overflow(): void {
    const { members, ids } = this.queue.giveUp()
    for (const subscription of this.#subscriptions.values()) {
      const { link, id } = subscription
      if (!ids.has(id) && (link === undefined || !members.has(link))) continue
      this.#unlink(subscription)
      subscription.givenUp = true
    }
  }

  /** After an overflow, now that there is room. */
  recover(): void {
    for (const subscription of this.#subscriptions.values())
      if (subscription.givenUp) this.#startOver(subscription, 'overflow')
  }

  close(): void {
    this.#closed = true
    for (const subscription of this.#subscriptions.values()) this.#remove(subscription)
  }

  linkDropped(link: FeedLink, reason: ResetReason): void {
    const ids = [...link.subscriptions]
    this.#forgetLink(link)
    for (const id of ids) {
      const subscription = this.#subscriptions.get(id)
      if (subscription !== undefined) this.#startOver(subscription, reason)
    }
  }

  // ── Beginning ─────────────────────────────────────────────────────────────────────────────────────────────────────

  async #begin(subscription: Subscription): Promise<void> {
    const turn = ++subscription.turn
    // It begins when the pause ends, or when there is room again.
    if (this.#paused || subscription.givenUp) return
    const isCurrent = (): boolean =>
      !this.#closed && subscription.turn === turn && this.#subscriptions.get(subscription.id) === subscription
    try {
      const spec = await this.#specOf(subscription)
      if (isCurrent()) this.#wait(subscription, spec, isCurrent)
    } catch (error) {
      if (isCurrent()) this.#end(subscription, this.#told(error))
    }
  }

  /** What the subscription asks for, as its session may see it now. */
  async #specOf(subscription: Subscription): Promise<FeedSpec> {
    const { requests, limits } = this.#around
    const { message } = subscription
    const model = requests.model(message.resource)
    subscription.model = model
    return feedSpec(model, message, await this.#accessTo(model), limits)
  }

  /** Subscriptions that begin at the same time share one answer; a refresh voids those under way. */
  #accessTo(model: ResourceModel): Promise<Access> {
    const asked = this.#asked.get(model)
    if (asked !== undefined) return asked
    const answer = this.#around.requests.allowed(model, this.#session, 'subscribe')
    this.#asked.set(model, answer)
    const forget = (): void => {
      if (this.#asked.get(model) === answer) this.#asked.delete(model)
    }
    answer.then(forget, forget)
    return answer
  }

  #wait(subscription: Subscription, spec: FeedSpec, isCurrent: () => boolean): void {
    let resume: ResumePoint | undefined
    const { hub, report } = this.#around
    const waiter: FeedWaiter = {
      prepare: async (groups: readonly Group[]) => {
        if (!subscription.resumes) return
        try {
          resume = await resumePoint(hub, spec, groups, subscription.message)
        } catch (error) {
          // The log cannot be read now: the client gets all of the view instead.
          resume = undefined
          report(error, { during: 'layer.history' })
        }
      },
      attach: (snapshot) => {
        if (!isCurrent()) return
        subscription.waiting = undefined
        try {
          this.#attach(subscription, feed, snapshot, resume)
        } catch (error) {
          this.#end(subscription, this.#told(error))
        }
      },
      failed: (error) => {
        if (!isCurrent()) return
        subscription.waiting = undefined
        this.#end(subscription, error)
      },
    }
    const feed = this.#around.readerOf(spec.model).subscribe(spec, waiter)
    subscription.waiting = { feed, waiter }
  }

  #attach(subscription: Subscription, feed: Feed, snapshot: FeedSnapshot, resume: ResumePoint | undefined): void {
    const link = (resume === undefined ? this.#findLink(feed) : undefined) ?? this.#openLink(feed)
    link.subscriptions.add(subscription.id)
    subscription.link = link
    if (subscription.resumes && resume === undefined)
      this.queue.send({ type: 'reset', id: subscription.id, reason: 'gap' })
    subscription.resumes = false
    const messages = snapshotMessages({
      id: subscription.id,
      handle: link.handle,
      feed,
      snapshot,
      resume,
      withRows: subscription.message.rows !== false,
      limits: this.#around.limits,
    })
    const resource = feed.spec.model.name
    this.#around.diagnose?.({ type: 'subscription.opened', resource, rows: snapshot.rows.length })
    if (resume !== undefined) feed.keepUnsent(keptKeys(snapshot, resume))
    this.queue.sendSnapshot(link, subscription.id, messages)
  }

  #findLink(feed: Feed): FeedLink | undefined {
    for (const link of this.#links) if (link.feed === feed && link.isCurrent) return link
    return undefined
  }

  /** A subscription that resumes is told what to forget under a handle of its own. */
  #openLink(feed: Feed): FeedLink {
    const taken = new Set([...this.#links].map((link) => link.handle))
    // A link that has moved on to another feed keeps its handle, too.
    let { handle } = feed
    while (taken.has(handle)) handle += '_'
    const link = new FeedLink(this, feed, handle)
    this.#links.add(link)
    feed.attach(link)
    return link
  }

  // ── Permissions that change ───────────────────────────────────────────────────────────────────────────────────────

  async #refreshLink(link: FeedLink): Promise<void> {
    const turn = (this.#turns.get(link) ?? 0) + 1
    this.#turns.set(link, turn)
    const isCurrent = (): boolean => this.#links.has(link) && this.#turns.get(link) === turn && !this.#paused
    const specs = new Map<Subscription, FeedSpec>()
    for (const id of link.subscriptions) {
      const subscription = this.#subscriptions.get(id)
      if (subscription === undefined) continue
      try {
        specs.set(subscription, await this.#specOf(subscription))
      } catch (error) {
        if (!isCurrent()) return
        this.queue.send({ type: 'reset', id, reason: 'policy' })
        this.#end(subscription, this.#told(error))
      }
      if (!isCurrent()) return
    }
    // Some may have ended meanwhile.
    for (const subscription of specs.keys()) if (subscription.link !== link) specs.delete(subscription)
    const [spec] = specs.values()
    if (spec === undefined) return
    // Subscriptions that asked for the same in other words may part now.
    for (const [subscription, other] of specs) if (other.text !== spec.text) this.#startOver(subscription, 'policy')
    if (spec.text === link.feed.spec.text) link.release()
    else await this.#move(link, spec, isCurrent)
  }

  #move(link: FeedLink, spec: FeedSpec, isCurrent: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const reader = this.#around.readerOf(spec.model)
      const waiter: FeedWaiter = {
        attach: (snapshot) => {
          resolve()
          if (!isCurrent()) return
          const before = link.feed
          link.move(feed, snapshot)
          reader.release(before)
        },
        failed: (error) => {
          resolve()
          if (!isCurrent()) return
          for (const id of link.subscriptions) {
            const subscription = this.#subscriptions.get(id)
            if (subscription === undefined) continue
            this.queue.send({ type: 'reset', id, reason: 'policy' })
            this.#end(subscription, error)
          }
        },
      }
      const feed = reader.subscribe(spec, waiter)
    })
  }

  // ── Ends ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** The client keeps its rows (unless it may not) until a new snapshot is whole. */
  #startOver(subscription: Subscription, reason: ResetReason): void {
    this.#unlink(subscription)
    this.#cancelWaiting(subscription)
    if (this.#closed) return
    subscription.resumes = false
    subscription.givenUp = false
    this.queue.send({ type: 'reset', id: subscription.id, reason })
    void this.#begin(subscription)
  }

  #end(subscription: Subscription, error: RtapiError): void {
    this.#remove(subscription)
    const resource = printable(subscription.message.resource)
    this.#around.diagnose?.({ type: 'subscription.ended', resource, code: error.code })
    const again = errorCodes[error.code].retryable
    this.queue.send({ type: 'end', id: subscription.id, error: error.toWire(), ...(again ? { again } : {}) })
  }

  #remove(subscription: Subscription): void {
    this.#subscriptions.delete(subscription.id)
    subscription.turn++
    this.#cancelWaiting(subscription)
    this.#unlink(subscription)
  }

  #cancelWaiting(subscription: Subscription): void {
    const { waiting } = subscription
    subscription.turn++
    if (waiting === undefined) return
    subscription.waiting = undefined
    this.#around.readerOf(waiting.feed.spec.model).release(waiting.feed, waiting.waiter)
  }

  #unlink(subscription: Subscription): void {
    const { link, id } = subscription
    if (link === undefined) return
    subscription.link = undefined
    link.subscriptions.delete(id)
    this.queue.forget(link.subscriptions.size === 0 ? link : undefined, id)
    if (link.subscriptions.size === 0) this.#dropLink(link)
  }

  #dropLink(link: FeedLink): void {
    this.#forgetLink(link)
    link.feed.detach(link)
    this.#around.readerOf(link.feed.spec.model).release(link.feed)
  }

  #forgetLink(link: FeedLink): void {
    this.#links.delete(link)
    this.#turns.delete(link)
    this.queue.take(link)
    for (const id of link.subscriptions) {
      const subscription = this.#subscriptions.get(id)
      if (subscription?.link === link) subscription.link = undefined
    }
    link.subscriptions.clear()
  }

  #told(error: unknown): RtapiError {
    if (error instanceof RtapiError) return error
    this.#around.report(error, { during: 'subscribe' })
    return new RtapiError('internal', 'The server failed.', { cause: error })
  }
}
