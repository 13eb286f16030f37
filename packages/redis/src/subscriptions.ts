import type { Clock } from '@rtapi/core'
import type { Deadlines } from './deadlines.ts'
import type { Pauses } from './pauses.ts'
import { SubscriberLink } from './subscriber-link.ts'
import type { Topology } from './topology.ts'

/** What subscriptions need of the layer. */
export interface SubscriptionSurroundings {
  readonly clock: Clock
  readonly deadlines: Deadlines
  readonly pauses: Pauses
  readonly probeInterval: number
  send(channel: string, message: string): Promise<void>
  received(channel: string, message: Uint8Array): void
  /** These channels are subscribed to again, after a time in which messages may have been missed. */
  resumed(channels: readonly string[]): void
  /** Told of the first failure of each outage. */
  failed(error: unknown): void
}

/** One channel: whether it is wanted, and over which link its messages come. */
interface Subscription {
  readonly channel: string
  isWanted: boolean
  link: SubscriberLink | undefined
  /** It has been subscribed to before. */
  isResumed: boolean
  /** Somebody is at work to bring about what is wanted. */
  isMoving: boolean
  waiting: { resolve: () => void; reject: (error: Error) => void }[]
}

/** Keeps channels subscribed to whatever happens to the connections, with one connection to each node. */
export class Subscriptions {
  readonly #topology: Topology
  readonly #around: SubscriptionSurroundings
  readonly #channels = new Map<string, Subscription>()
  readonly #links = new Map<string, SubscriberLink>()
  #resumed: string[] = []
  #failures = 0
  /** The outage that there is has been told. */
  #isTold = false
  /** Subscriptions that failed wait for the same moment. */
  #retry: Promise<void> | undefined

  constructor(topology: Topology, around: SubscriptionSurroundings) {
    this.#topology = topology
    this.#around = around
    topology.onChange = () => {
      for (const link of this.#links.values()) link.end()
    }
  }

  get connections(): number {
    return this.#links.size
  }

  /** Settles when the server has confirmed that messages come; goes on trying until `remove`. */
  add(channel: string): Promise<void> {
    const subscription = this.#channels.get(channel) ?? this.#make(channel)
    subscription.isWanted = true
    if (subscription.link !== undefined && !subscription.isMoving) return Promise.resolve()
    return new Promise((resolve, reject) => {
      subscription.waiting.push({ resolve, reject })
      void this.#move(subscription)
    })
  }

  /** Its messages are not wanted any more. Those that still come find nobody; a connection that does not confirm is ended. */
  remove(channel: string): void {
    const subscription = this.#channels.get(channel)
    if (subscription === undefined) return
    subscription.isWanted = false
    for (const { reject } of subscription.waiting.splice(0)) reject(new Error('the group was left'))
    void this.#move(subscription)
  }

  /** Looks whether every channel is still subscribed to where its messages are sent; rejects where nobody can say. */
  async checkNodes(): Promise<void> {
    if (!this.#topology.sharded) return
    for (const subscription of this.#channels.values()) {
      const { link, channel } = subscription
      if (link === undefined || subscription.isMoving) continue
      const { address } = await this.#topology.nodeOf(channel)
      if (address === link.address || subscription.link !== link) continue
      subscription.link = undefined
      link.unsubscribe(channel).catch(() => undefined)
      void this.#move(subscription)
    }
  }

  close(): void {
    this.#channels.clear()
    for (const link of this.#links.values()) link.end()
    this.#links.clear()
  }

  #make(channel: string): Subscription {
    const made = { channel, isWanted: true, link: undefined, isResumed: false, isMoving: false, waiting: [] }
    this.#channels.set(channel, made)
    return made
  }

  /** Brings about what is wanted: one at a time for each channel, until it is so. */
  async #move(subscription: Subscription): Promise<void> {
    if (subscription.isMoving) return
    subscription.isMoving = true
    for (;;) {
      if (this.#channels.get(subscription.channel) !== subscription) return
      if (subscription.isWanted) {
        if (subscription.link !== undefined) break
        await this.#place(subscription)
      } else {
        const { link } = subscription
        subscription.link = undefined
        if (link !== undefined && !link.isDead) await link.unsubscribe(subscription.channel).catch(() => undefined)
        if (!subscription.isWanted) {
          if (this.#channels.get(subscription.channel) === subscription) this.#channels.delete(subscription.channel)
          return
        }
      }
    }
    subscription.isMoving = false
    for (const { resolve } of subscription.waiting.splice(0)) resolve()
    if (subscription.isResumed) this.#resume(subscription.channel)
    subscription.isResumed = true
  }

  async #place(subscription: Subscription): Promise<void> {
    const { channel } = subscription
    try {
      const link = await this.#linkFor(channel)
      await link.subscribe(channel)
      if (link.isDead) throw new Error('the connection has ended')
      subscription.link = link
      this.#failures = 0
      this.#isTold = false
    } catch (error) {
      if (this.#around.pauses.closed) return
      this.#tell(error)
      // Asking for the key makes a cluster find out who is in charge of it now.
      if (this.#topology.sharded) this.#topology.send(channel, ['EXISTS', channel]).catch(() => undefined)
      await this.#pause()
    }
  }

  #pause(): Promise<void> {
    this.#retry ??= this.#around.pauses.beforeAttempt(++this.#failures).then(() => {
      this.#retry = undefined
    })
    return this.#retry
  }

  async #linkFor(channel: string): Promise<SubscriberLink> {
    const node = await this.#topology.nodeOf(channel)
    if (this.#around.pauses.closed) throw new Error('the layer is closed')
    const known = this.#links.get(node.address)
    if (known !== undefined) return known
    const around = this.#around
    const link = new SubscriberLink(node, channel, {
      clock: around.clock,
      deadlines: around.deadlines,
      sharded: this.#topology.sharded,
      probeInterval: around.probeInterval,
      send: (to, message) => around.send(to, message),
      received: (from, message) => around.received(from, message),
      moved: (from, moved) => {
        const subscription = this.#channels.get(moved)
        if (subscription?.link === from) this.#lift(subscription)
      },
      died: (dead, error) => this.#bury(dead, error),
    })
    this.#links.set(node.address, link)
    return link
  }

  #bury(dead: SubscriberLink, error: unknown): void {
    if (this.#links.get(dead.address) === dead) this.#links.delete(dead.address)
    if (this.#around.pauses.closed) return
    const concerned = [...this.#channels.values()].filter(({ link }) => link === dead)
    if (concerned.length > 0) this.#tell(error)
    for (const subscription of concerned) this.#lift(subscription)
  }

  #tell(error: unknown): void {
    if (!this.#isTold) this.#around.failed(error)
    this.#isTold = true
  }

  #lift(subscription: Subscription): void {
    subscription.link = undefined
    void this.#move(subscription)
  }

  /** Many channels come back in one tick: they are looked after together. */
  #resume(channel: string): void {
    this.#resumed.push(channel)
    if (this.#resumed.length > 1) return
    this.#around.clock.defer(() => {
      const resumed = this.#resumed
      this.#resumed = []
      if (!this.#around.pauses.closed) this.#around.resumed(resumed)
    })
  }
}
