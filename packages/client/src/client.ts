import type { Api, Report, Resource, ResourceTypes } from '@rtapi/core'
import type { HelloMessage } from '@rtapi/core/protocol'
import type { ClientClock } from './client-clock.ts'
import type { ClientCodec } from './client-codec.ts'
import { ClientCore } from './client-core.ts'
import type { ClientLimits } from './client-limits.ts'
import type { ClientTransport } from './client-transport.ts'
import type { ConnectionStore } from './connection-state.ts'
import type { TokenSource } from './credentials.ts'
import type { ResourceClient } from './resource-client.ts'
import { resourceProxy } from './resource-proxy.ts'
import type { FrameListener } from './frame-listener.ts'
import type { WebSocketConstructor } from './web-socket-transport.ts'

export interface ClientOptions {
  /** Where the server listens: `wss://…`, `https://…`, or relative to the page. */
  readonly url: string
  /**
   * Who is asking. A function is asked at each connect, before the session expires, and once more when the server refuses
   * what it gave; if it throws, the client tries again later. @default null, nobody
   */
  readonly token?: TokenSource
  /**
   * How to reach the server. Of several, in order of preference, the next is tried at once after one that does not get
   * through, and the better ones are tried again in the background while a lesser one is in use. @default WebSocket
   */
  readonly transport?: ClientTransport | readonly ClientTransport[]
  /** Writes and reads frames; the server must have the same. Transports over HTTP speak JSON in any case. @default JSON */
  readonly codec?: ClientCodec
  /** For a platform without a `WebSocket` of its own. @default globalThis.WebSocket */
  readonly WebSocket?: WebSocketConstructor
  /** Told to the server, for its logs. */
  readonly client?: NonNullable<HelloMessage['client']>
  readonly limits?: Partial<ClientLimits>
  /** @default the machine's */
  readonly clock?: ClientClock
  /** For the waits between attempts: from 0 up to, but not including, 1. @default Math.random */
  readonly random?: () => number
  /** Gets what your listeners throw. @default an uncaught error */
  readonly report?: Report
}

/** The resources of an API, by name. */
export type ResourcesOf<A> = A extends { readonly '~resources'?: infer Resources }
  ? ByName<NonNullable<Resources> extends readonly (infer R)[] ? R : never>
  : never

type ByName<R> = { readonly [K in R as NameOf<K>]: TypesIn<K> }
type NameOf<R> = R extends Resource<infer Name, infer _> ? Name : never
type TypesIn<R> = R extends { readonly '~types'?: infer Types } ? NonNullable<Types> : never

/** The client of a resource, by its name. */
export type ResourceClients<A> = {
  readonly [Name in keyof ResourcesOf<A>]: ResourcesOf<A>[Name] extends infer T extends ResourceTypes
    ? ResourceClient<T>
    : never
}

/** What a client has besides its resources. */
export interface ClientBase<A> {
  /** For a badge: how the connection is, as a store. */
  readonly connection: ConnectionStore
  /** The resource with this name; `client.comments` is the same, unless the name is one of these members. */
  resource<Name extends keyof ResourceClients<A> & string>(name: Name): ResourceClients<A>[Name]
  /** Connects. The first request or view does so by itself; after `closed`, only this and `authenticate` do. */
  connect(): void
  /**
   * Takes another token or source of tokens (without one: asks the present source again) and brings it to the server in
   * place. Resolves when the server has taken it, be it after a reconnect, as when somebody else is signed in: then all
   * views are dropped and loaded anew. Rejects with `RtapiError` if it is refused.
   */
  authenticate(token?: TokenSource): Promise<void>
  /** Shows a listener each message as it passes, with tokens blanked out; returns its undo. For an inspector. */
  onFrame(listener: FrameListener): () => void
  /** Closes the connection and all views. Requests that wait are rejected. */
  close(): void
}

/** A client of an API: its resources by name, and what concerns the connection. */
export type Client<A> = ClientBase<A> & Omit<ResourceClients<A>, keyof ClientBase<A>>

/**
 * Makes a client: `createClient<typeof api>({ url })`. It connects when it is first used.
 */
export function createClient<A extends Api = Api>(options: ClientOptions): Client<A> {
  const core = new ClientCore(options)
  const base = {
    connection: core.connection.state,
    resource: (name: string) => core.resource(name),
    connect: () => core.connection.start(),
    authenticate: (token?: TokenSource) => core.connection.authenticate(token),
    onFrame: (listener: FrameListener) => core.frames.add(listener),
    close: () => core.close(),
  }
  // The types of the resources exist at compile time only.
  return resourceProxy(base, (name) => core.resource(name)) as unknown as Client<A>
}
