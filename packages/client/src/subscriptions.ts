import type {
  ChangesMessage,
  ClientMessage,
  EndMessage,
  ResetMessage,
  Row,
  SnapshotMessage,
  SubscribeMessage,
} from '@rtapi/core/protocol'
import type { KnownRows } from './known-rows.ts'
import type { ViewState } from './live-view.ts'
import { Subscription, type SubscriptionPort, type SubscriptionQuery } from './subscription.ts'

/** Subscriptions sent before the server's welcome: it keeps only so many early messages, requests among them. */
const EARLY = 50

/** Changes kept for views whose snapshot is on its way. A view that would need older ones resumes instead. */
const LOG = 1_000

/** How views came back after the connection was lost. */
export interface Recovery {
  /** Views that went on from their position. */
  readonly resumed: number
  /** Views that took a new snapshot. */
  readonly reset: number
  /** Views that still wait for the server. */
  readonly waiting: number
}

/** What the subscriptions need from the connection. */
export interface SubscriptionsPort {
  newId(): string
  /** Milliseconds that only grow. */
  now(): number
  limits(): { readonly frame: number; readonly have: number }
  /** Bytes of a message on the link in use. */
  bytes(message: SubscribeMessage): number
  /** Sends messages if there is a link. */
  send(messages: readonly ClientMessage[]): void
  /** Whether the server knows who is there. Until then subscriptions wait for `opened` and `welcomed`. */
  welcomed(): boolean
  /** Calls `run` after the n-th wait of the back-off, but not before `least` milliseconds; returns its undo. */
  wait(wait: { readonly attempt: number; readonly least: number }, run: () => void): () => void
  /** Every view shows its state of now. */
  shown(): void
  /** Absent: no view had rows to keep. */
  recovery(recovery: Recovery | undefined): void
}

/** Shows a view another state; answers how to tell whoever listens to it, if there is something to tell. */
export type Show = (state: ViewState<Row>) => (() => void) | undefined

/** All subscriptions of a client: brings messages to those they concern, and shows the outcome when a frame is done. */
export class Subscriptions {
  readonly #port: SubscriptionsPort
  readonly #known: KnownRows
  readonly #all = new Map<Subscription, Show>()
  readonly #waits = new Map<Subscription, () => void>()
  /** Subscriptions that held rows when the link was opened and are not whole again. */
  readonly #recovering = new Set<Subscription>()
  #recovery: Recovery = { resumed: 0, reset: 0, waiting: 0 }
  #log: ChangesMessage[] = []
  /** Ids that live on at the link before this one. */
  #left: readonly string[] = []

  constructor(known: KnownRows, port: SubscriptionsPort) {
    this.#known = known
    this.#port = port
  }

  /** Adds a subscription and begins it if there is a session. `show` is called with its state by `flush`. */
  add(query: SubscriptionQuery, show: Show): Subscription {
    const port: SubscriptionPort = {
      newId: () => this.#port.newId(),
      now: () => this.#port.now(),
      limits: () => this.#port.limits(),
      bytes: (message) => this.#port.bytes(message),
      leave: (id) => this.#port.send([{ type: 'unsubscribe', id }]),
      again: (subscription, wait) => this.#again(subscription, wait),
      recovered: (how) => this.#recovered(subscription, how),
    }
    const subscription = new Subscription(query, this.#known, port)
    this.#all.set(subscription, show)
    if (this.#port.welcomed()) this.#begin(subscription)
    return subscription
  }

  /** Closes a subscription for its owner; without one, all. */
  close(subscription?: Subscription): void {
    for (const each of subscription === undefined ? this.#all.keys() : [subscription]) each.close()
    this.flush()
  }

  // ── The link ──────────────────────────────────────────────────────────────────────────────────────────────────────

  /** A link is open: answers what to send right behind `hello`. */
  opened(): readonly ClientMessage[] {
    this.#recovering.clear()
    for (const subscription of this.#all.keys()) if (subscription.whole) this.#recovering.add(subscription)
    this.#recovery = { resumed: 0, reset: 0, waiting: 0 }
    if (this.#recovering.size > 0) this.#countRecovery({})
    else this.#port.recovery(undefined)
    return this.#beginAll(EARLY)
  }

  /** The server knows who is there: the rest may follow. */
  welcomed(): void {
    this.#port.send(this.#beginAll(Number.POSITIVE_INFINITY))
  }

  #beginAll(most: number): readonly ClientMessage[] {
    const messages: ClientMessage[] = []
    for (const subscription of this.#all.keys()) {
      if (messages.length >= most) break
      const message = subscription.id === undefined ? subscription.begin() : undefined
      if (message !== undefined) messages.push(message)
    }
    return messages
  }

  /**
   * Another link takes over: everything begins there, and what is live stays so meanwhile.
   * @param to - `another` link, while that before it stands; or `back` to the one before.
   */
  carry(to: 'another' | 'back'): void {
    this.#forgetLink()
    // What the link before still holds of earlier would go on beside what begins there now.
    if (to === 'back') this.#port.send(this.#left.map((id) => ({ type: 'unsubscribe', id })))
    this.#left = [...this.#all.keys()].flatMap(({ id }) => id ?? [])
    const messages = [...this.#all.keys()].flatMap((subscription) => subscription.carry() ?? [])
    this.#port.send(messages)
  }

  /** Views are shown as live that the link in use has not made whole. */
  get carrying(): boolean {
    for (const subscription of this.#all.keys()) if (subscription.carried) return true
    return false
  }

  /** The new link takes too long. */
  dropCarried(): void {
    for (const subscription of this.#all.keys()) subscription.dropCarried()
  }

  #forgetLink(): void {
    for (const undo of this.#waits.values()) undo()
    this.#waits.clear()
    this.#log = []
  }

  /** The link is gone. */
  lost(): void {
    this.#forgetLink()
    for (const subscription of this.#all.keys()) subscription.lost()
  }

  /** Somebody else is signed in: nothing of before is shown, and views begun on this link begin anew. */
  drop(): void {
    for (const subscription of this.#all.keys()) {
      subscription.drop()
      if (subscription.id !== undefined) {
        this.#port.send([{ type: 'unsubscribe', id: subscription.id }])
        this.#begin(subscription)
      }
    }
  }

  /** The connection is over until `revive`. */
  suspend(error: Error): void {
    for (const subscription of this.#all.keys()) subscription.suspend(error)
  }

  revive(): void {
    for (const subscription of this.#all.keys()) subscription.revive()
  }

  // ── Messages ──────────────────────────────────────────────────────────────────────────────────────────────────────

  snapshot(message: SnapshotMessage): void {
    this.#find(message.id)?.snapshot(message, this.#log)
    this.#trimLog()
  }

  changes(message: ChangesMessage): void {
    if (this.#awaiting()) {
      this.#log.push(message)
      if (this.#log.length > LOG) this.#log.shift()
    }
    for (const subscription of this.#all.keys()) if (subscription.feed === message.feed) subscription.changes(message)
  }

  reset(message: ResetMessage): void {
    this.#find(message.id)?.reset(message)
  }

  end(message: EndMessage): void {
    this.#find(message.id)?.end(message)
    this.#trimLog()
  }

  /** Shows every view its state of now, then tells those who listen. */
  flush(): void {
    const tells: (() => void)[] = []
    for (const [subscription, show] of this.#all) {
      if (subscription.closed) {
        this.#all.delete(subscription)
        this.#waits.get(subscription)?.()
        this.#waits.delete(subscription)
        if (this.#recovering.delete(subscription)) this.#countRecovery({})
      }
      const tell = show(subscription.state)
      if (tell !== undefined) tells.push(tell)
    }
    for (const tell of tells) tell()
    this.#port.shown()
  }

  // ── Inside ────────────────────────────────────────────────────────────────────────────────────────────────────────

  #find(id: string): Subscription | undefined {
    for (const subscription of this.#all.keys()) if (subscription.id === id) return subscription
    return undefined
  }

  #awaiting(): boolean {
    for (const subscription of this.#all.keys()) if (subscription.awaiting) return true
    return false
  }

  #trimLog(): void {
    if (this.#log.length > 0 && !this.#awaiting()) this.#log = []
  }

  #begin(subscription: Subscription): void {
    const message = subscription.begin()
    if (message !== undefined) this.#port.send([message])
  }

  #again(subscription: Subscription, wait: { readonly attempt: number; readonly least: number } | 'now'): void {
    if (wait === 'now') return this.#begin(subscription)
    this.#waits.get(subscription)?.()
    const undo = this.#port.wait(wait, () => {
      this.#waits.delete(subscription)
      this.#begin(subscription)
      this.flush()
    })
    this.#waits.set(subscription, undo)
  }

  #recovered(subscription: Subscription, how: 'resumed' | 'reset'): void {
    if (this.#recovering.delete(subscription)) this.#countRecovery({ [how]: this.#recovery[how] + 1 })
  }

  #countRecovery(counted: Partial<Recovery>): void {
    this.#recovery = { ...this.#recovery, ...counted, waiting: this.#recovering.size }
    this.#port.recovery(this.#recovery)
  }
}
