import type { Clock } from '@rtapi/core'
import type { Deadlines } from './deadlines.ts'
import { randomText } from './random-text.ts'
import { type ChannelListener, type Node, type PlainClient, onDeath, onceOnly } from './topology.ts'

/** Channels in one command that ends subscriptions. */
const UNSUBSCRIBED = 1_000

/** What a link needs of the layer. */
export interface LinkSurroundings {
  readonly clock: Clock
  readonly deadlines: Deadlines
  readonly sharded: boolean
  /** Milliseconds of silence after which the link is tried. */
  readonly probeInterval: number
  /** Sends a message to a channel, over another connection. */
  send(channel: string, message: string): Promise<void>
  received(channel: string, message: Uint8Array): void
  /** The server has ended this subscription: its slot has moved. */
  moved(link: SubscriberLink, channel: string): void
  /** Once: nothing comes over it any more. */
  died(link: SubscriberLink, error: unknown): void
}

/**
 * One connection over which messages come, for as long as it lasts. A socket that is silent for long may be dead without
 * knowing it: then the link sends a message to itself, and ends if that does not arrive.
 */
export class SubscriberLink {
  readonly address: string
  readonly ready: Promise<void>
  isDead = false
  readonly #client: PlainClient
  readonly #around: LinkSurroundings
  readonly #probeChannel: string
  readonly #listener: ChannelListener
  /** Channels whose messages are not wanted any more, to be told together. */
  #ending: string[] = []
  #ended: Promise<void> | undefined
  #heardAt = 0
  #cancelProbe: (() => void) | undefined
  /** There while it is tried whether anything still comes. */
  #trial: object | undefined

  /** @param channel - one of the node: the link's own channel is in the same slot. */
  constructor({ address, template }: Node, channel: string, around: LinkSurroundings) {
    this.address = address
    this.#around = around
    this.#probeChannel = `${channel}:probe:${randomText(12)}`
    this.#listener = (message, name) => this.#receive(Buffer.from(name).toString(), message)
    this.#client = onceOnly(template, { connectTimeout: 2_000, socketTimeout: undefined })
    onDeath(this.#client, (error) => {
      this.isDead = true
      this.#cancelProbe?.()
      around.died(this, error)
    })
    this.#client.on('sharded-channel-moved', (name) => {
      if (typeof name === 'string') around.moved(this, name)
    })
    this.ready = this.#open()
    // Whoever subscribes sees it.
    this.ready.catch(() => undefined)
  }

  /** Settles when the server has confirmed. */
  async subscribe(channel: string): Promise<void> {
    await this.ready
    await this.#subscribe(channel)
  }

  /** Settles when the server has confirmed. What ends in one tick is told together, where it may. */
  unsubscribe(channel: string): Promise<void> {
    if (this.#around.sharded) return this.#confirmed(this.#client.sUnsubscribe(channel, this.#listener, true))
    this.#ending.push(channel)
    this.#ended ??= this.#unsubscribeAll()
    return this.#ended
  }

  /** Ends the connection. */
  end(): void {
    this.#client.destroy()
  }

  async #unsubscribeAll(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve))
    const channels = this.#ending
    this.#ending = []
    this.#ended = undefined
    const parts: Promise<void>[] = []
    for (let i = 0; i < channels.length; i += UNSUBSCRIBED)
      parts.push(this.#confirmed(this.#client.unsubscribe(channels.slice(i, i + UNSUBSCRIBED), this.#listener, true)))
    await Promise.all(parts)
  }

  async #open(): Promise<void> {
    try {
      await this.#confirmed(this.#client.connect())
      await this.#subscribe(this.#probeChannel)
    } catch (error) {
      this.end()
      throw error
    }
    this.#heardAt = this.#around.clock.monotonic()
    this.#schedule(this.#around.probeInterval)
  }

  async #subscribe(channel: string): Promise<void> {
    const client = this.#client
    await this.#confirmed(
      this.#around.sharded
        ? client.sSubscribe(channel, this.#listener, true)
        : client.subscribe(channel, this.#listener, true),
    )
  }

  /** A link that leaves something unanswered is worth nothing; a refusal concerns the one channel. */
  async #confirmed(reply: Promise<unknown>): Promise<void> {
    try {
      await this.#around.deadlines.run('confirm', reply)
    } catch (error) {
      if (!isRefusal(error)) this.end()
      throw error
    }
  }

  #receive(channel: string, message: Uint8Array): void {
    this.#heardAt = this.#around.clock.monotonic()
    if (this.#trial !== undefined) {
      this.#trial = undefined
      this.#cancelProbe?.()
      this.#schedule(this.#around.probeInterval)
    }
    if (channel !== this.#probeChannel) this.#around.received(channel, message)
  }

  #schedule(delay: number): void {
    if (this.isDead) return
    this.#cancelProbe = this.#around.clock.setTimer(delay, () => {
      const silence = this.#around.clock.monotonic() - this.#heardAt
      if (silence < this.#around.probeInterval) this.#schedule(this.#around.probeInterval - silence)
      else void this.#probe()
    })
  }

  /**
   * Ends the link unless something is heard in time, over whatever time it takes to send: a probe that cannot be sent
   * proves nothing, and that the link is alive must be proven.
   */
  async #probe(): Promise<void> {
    const { clock, deadlines } = this.#around
    const start = clock.monotonic()
    const trial = {}
    this.#trial = trial
    await this.#around.send(this.#probeChannel, '').catch(() => undefined)
    // The message may come before the answer to sending it, or after.
    if (this.#trial !== trial || this.isDead) return
    const left = Math.max(0, deadlines.delay - (clock.monotonic() - start))
    this.#cancelProbe = clock.setTimer(left, () => this.end())
  }
}

/** Answers of the server begin with a word in capitals, as `MOVED` or `NOPERM`. */
function isRefusal(error: unknown): boolean {
  return error instanceof Error && /^[A-Z]+ /.test(error.message)
}
