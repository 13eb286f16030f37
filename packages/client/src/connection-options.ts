import type { Report } from '@rtapi/core'
import type { ClientMessage, HelloMessage, ServerMessage } from '@rtapi/core/protocol'
import type { ClientClock } from './client-clock.ts'
import type { ClientCodec } from './client-codec.ts'
import type { ClientTransport } from './client-transport.ts'
import type { TokenSource } from './credentials.ts'
import type { ContentMessage } from './link.ts'
import type { Traffic } from './traffic.ts'
import type { UpgradeLimits } from './upgrade.ts'

export interface ConnectionLimits extends UpgradeLimits {
  /** Milliseconds until an attempt is given up: for the token, and again for the link with its `welcome`. */
  readonly connectTimeout: number
  /** Milliseconds until a transport is given up that has heard no welcome, where there is another one to try. */
  readonly fallbackTimeout: number
  /** Milliseconds: the shortest and the longest wait between attempts. */
  readonly backoffMinimum: number
  readonly backoffMaximum: number
  /** Milliseconds a connection must have lived for the waits to start over. */
  readonly stableAfter: number
}

export interface ConnectionOptions {
  readonly url: string
  readonly token: TokenSource
  /** In order of preference, at least one. */
  readonly transports: readonly ClientTransport[]
  readonly codec: ClientCodec
  readonly traffic: Traffic
  readonly client: HelloMessage['client']
  readonly clock: ClientClock
  readonly random: () => number
  readonly limits: ConnectionLimits
  readonly report: Report
  readonly newId: () => string
}

/** Hears of the connection. */
export interface ConnectionEvents {
  /** Starts from `idle` or `closed`. */
  starting(): void
  /** A link is open: answers what to send right behind `hello`. */
  opened(): readonly ClientMessage[]
  /** The session is known. `another`: it is not that of the link before. */
  welcomed(session: { readonly another: boolean }): void
  received(message: ContentMessage): void
  settled(): void
  /** The link is gone. `another`: whoever was signed in no longer is. */
  lost(session: { readonly another: boolean }): void
  /** The connection is over until it is started again. `denied`: what was shown may no longer be. */
  closed(error: Error, access: { readonly denied: boolean }): void
  frame(direction: 'in' | 'out', messages: readonly (ClientMessage | ServerMessage)[]): void
}
