/** The part of node-redis's client that the layer uses; its own types differ with every module that is configured. */
export interface PlainClient {
  readonly isReady: boolean
  readonly options?: { readonly socket?: object } | undefined
  connect(): Promise<unknown>
  destroy(): void
  duplicate(overrides: object): PlainClient
  sendCommand(args: readonly string[], options: object): Promise<unknown>
  subscribe(channel: string, listener: ChannelListener, buffers: true): Promise<unknown>
  unsubscribe(channels: readonly string[], listener: ChannelListener, buffers: true): Promise<unknown>
  sSubscribe(channel: string, listener: ChannelListener, buffers: true): Promise<unknown>
  sUnsubscribe(channel: string, listener: ChannelListener, buffers: true): Promise<unknown>
  on(event: string, listener: (argument: unknown) => void): unknown
}

/** Hears the messages of channels; both as bytes. */
export type ChannelListener = (message: Uint8Array, channel: Uint8Array) => void

/** A node of Redis, and what a connection to it is made from. */
export interface Node {
  readonly address: string
  /** Never used itself: `duplicate` makes connections like it. */
  readonly template: PlainClient
}

/** How the servers of one Redis are reached: one, the master that Sentinel names, or the masters of a cluster. */
export interface Topology {
  /** Subscriptions are bound to the slot of their channel. */
  readonly sharded: boolean
  /** Told when other nodes may be in charge now. */
  onChange: () => void
  /** Settles when commands can be sent. */
  open(): Promise<void>
  /** Sends a command to the master of a key. Rejects at once where there is no connection: nothing waits for one. */
  send(key: string, args: readonly string[]): Promise<unknown>
  /** The master of a key. */
  nodeOf(key: string): Promise<Node>
  /** A command got no answer for so many milliseconds: a connection on which nothing else did is given up. */
  timedOut(delay: number): void
  close(): Promise<void>
}

/** What every connection of the layer has in common, whatever the user's client is set to. */
export const plainOverrides: object = {
  commandOptions: {},
  clientSideCache: undefined,
  emitInvalidate: undefined,
  keyPrefix: undefined,
  // Its hand-over swaps the socket below a client, where what was subscribed is not known to have arrived.
  maintNotifications: 'disabled',
  disableOfflineQueue: true,
}

/** Commands have deadlines of the layer's clock; node-redis's own would cost a timer for each. */
export const noTimeout: object = { timeout: undefined }

/** A client like another one that lives as long as its connection: it reports its end and never comes back by itself. */
export function onceOnly(template: PlainClient, socket: object): PlainClient {
  return template.duplicate({
    ...plainOverrides,
    pingInterval: undefined,
    socket: { ...template.options?.socket, ...socket, reconnectStrategy: false },
  })
}

/** Calls `died` once, when the connection of a client has ended for whatever reason. */
export function onDeath(client: PlainClient, died: (error: unknown) => void): void {
  let isDead = false
  const die = (error: unknown): void => {
    if (isDead) return
    isDead = true
    client.destroy()
    died(error)
  }
  client.on('error', die)
  client.on('terminated', die)
  client.on('end', die)
  // A client that is destroyed while it connects goes on all the same.
  client.on('connect', () => {
    if (isDead) client.destroy()
  })
}
