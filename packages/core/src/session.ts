import type { MaybePromise } from './runtime.ts'

/** Whoever is signed in; `id` names them across connections and processes. */
export interface User {
  readonly id: string | number
}

/** Who is on a connection. An anonymous session has `user: null`. */
export interface Session<U extends User = User> {
  readonly user: U | null
  /** Names this session among those of its user, so that it can be ended alone. */
  readonly id?: string
  /** Milliseconds since 1970. */
  readonly expiresAt?: number
}

export const anonymous: Session<never> = { user: null }

/** What a transport knows of a client before its first message. */
export interface Handshake {
  /** `ws`, `socket.io`, `long-polling` … */
  readonly transport: string
  readonly url: string
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly remoteAddress?: string
  /** From `hello`, `auth` or the `Authorization` header, whichever came last. */
  readonly token?: string | null
}

/**
 * Tells who a client is. `null` is an anonymous session. Throw `RtapiError` `unauthenticated` to refuse the connection
 * (4401); any other error closes it with 4500. Called at `hello`, and again at `auth` with the new token: a `null` token
 * there means "signed out", and credentials of the handshake such as cookies must not be used for it.
 */
export type Authenticate<U extends User = User> = (handshake: Handshake) => MaybePromise<Session<U> | null>
