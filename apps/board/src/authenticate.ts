import { type Authenticate, type Handshake, RtapiError, type Session } from '@rtapi/core'
import type { BoardStores } from './domain/board-database.ts'
import { findOne, where } from './domain/queries.ts'
import type { Role } from './domain/rows.ts'
import { tokenCookie } from './http/token-cookie.ts'
import type { Tokens } from './tokens.ts'

/** Who is signed in, as the permissions see them. */
export interface BoardUser {
  readonly id: number
  readonly role: Role
}

/**
 * Tells who a client is: by the token it gives, else by the `Authorization` header, else by the cookie, which counts only
 * if the page that connects is one of ours. Without any of them it is anonymous. The user is read from the database, so a
 * token never carries an old role.
 */
export function boardAuthenticate(stores: BoardStores, tokens: Tokens): Authenticate<BoardUser> {
  return async (handshake): Promise<Session<BoardUser> | null> => {
    const token = tokenOf(handshake)
    if (token === null) return null
    const claims = await tokens.verify(token)
    const user = claims && (await findOne(stores.users, where('id', 'eq', claims.userId)))
    if (!claims || !user?.active) throw new RtapiError('unauthenticated', 'Sign in again: the token is not valid.')
    return { user: { id: user.id, role: user.role }, id: claims.sessionId, expiresAt: claims.expiresAt }
  }
}

function tokenOf({ token, headers }: Handshake): string | null {
  // An explicit null is "signed out", whatever else the handshake brought.
  if (token !== undefined) return token
  return bearerToken(headers['authorization']) ?? (isOwnOrigin(headers) ? tokenCookie(headers['cookie']) : null)
}

/** The token of an `Authorization: Bearer` header. */
export function bearerToken(header: string | undefined): string | null {
  return /^Bearer +(\S+)$/i.exec(header ?? '')?.[1] ?? null
}

/**
 * Whether the request is of a page of this server: its browser names the origin or, where a page only reads, says that it
 * is the same. A page cannot make it say so.
 */
export function isOwnOrigin(headers: Readonly<Record<string, string | readonly string[] | undefined>>): boolean {
  const { origin, host, 'sec-fetch-site': site } = headers
  if (origin === undefined) return site === 'same-origin'
  if (typeof origin !== 'string' || typeof host !== 'string' || !URL.canParse(origin)) return false
  return new URL(origin).host === host.toLowerCase()
}
