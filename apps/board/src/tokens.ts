import { RtapiError } from '@rtapi/core'
import { randomBytes, randomUUID } from 'node:crypto'
import { SignJWT, errors, jwtVerify } from 'jose'
import type { BoardStores } from './domain/board-database.ts'
import { findOne, where } from './domain/queries.ts'

const name = 'rtapi-board'

/** A token that was just issued. `expiresAt` is milliseconds since 1970. */
interface IssuedToken {
  readonly token: string
  readonly expiresAt: number
}

/** What a valid token says. */
export interface TokenClaims {
  /** Names the sign-in; the token is revoked by it. */
  readonly sessionId: string
  readonly userId: number
  readonly expiresAt: number
}

/** Issues, checks and revokes the tokens of sign-ins: JWTs signed with HS256 by a key that lies in the database. */
export interface Tokens {
  issue(userId: number): Promise<IssuedToken>
  /** `null`: not one of ours, expired, or revoked. */
  verify(token: string): Promise<TokenClaims | null>
  /** Holds on every process that uses this database. */
  revoke(claims: TokenClaims): Promise<void>
}

/** @param lifetime - of a token, in seconds. */
export async function createTokens(stores: BoardStores, lifetime: number): Promise<Tokens> {
  const key = Buffer.from(await sharedKey(stores), 'base64url')

  return {
    async issue(userId) {
      const expiresAt = Math.floor(Date.now() / 1000) + lifetime
      const token = await new SignJWT()
        .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
        .setIssuer(name)
        .setAudience(name)
        .setSubject(String(userId))
        .setJti(randomUUID())
        .setIssuedAt()
        .setExpirationTime(expiresAt)
        .sign(key)
      return { token, expiresAt: expiresAt * 1000 }
    },

    async verify(token) {
      const claims = await readToken(token, key)
      if (claims === null) return null
      const revoked = await findOne(stores.revokedTokens, where('id', 'eq', claims.sessionId))
      return revoked === undefined ? claims : null
    },

    async revoke({ sessionId, expiresAt }) {
      try {
        await stores.revokedTokens.create({ id: sessionId, expiresAt: new Date(expiresAt).toISOString() })
      } catch (error) {
        // Signed out twice.
        if (!(error instanceof RtapiError && error.code === 'conflict')) throw error
      }
      await forgetExpired(stores)
    },
  }
}

async function readToken(token: string, key: Uint8Array): Promise<TokenClaims | null> {
  try {
    const { payload } = await jwtVerify(token, key, {
      algorithms: ['HS256'],
      issuer: name,
      audience: name,
      requiredClaims: ['jti', 'sub', 'exp'],
    })
    const userId = Number(payload.sub)
    if (payload.jti === undefined || payload.exp === undefined || !Number.isSafeInteger(userId)) return null
    return { sessionId: payload.jti, userId, expiresAt: payload.exp * 1000 }
  } catch (error) {
    if (error instanceof errors.JOSEError) return null
    throw error
  }
}

/** The signing key, made by the first process that asks for it. */
async function sharedKey({ settings }: BoardStores): Promise<string> {
  const read = async (): Promise<string | undefined> =>
    (await findOne(settings, where('name', 'eq', 'token-key')))?.value
  const existing = await read()
  if (existing !== undefined) return existing
  try {
    await settings.create({ name: 'token-key', value: randomBytes(32).toString('base64url') })
  } catch (error) {
    // Another process was faster.
    if (!(error instanceof RtapiError && error.code === 'conflict')) throw error
  }
  const made = await read()
  if (made === undefined) throw new Error('the signing key of tokens could not be stored')
  return made
}

async function forgetExpired({ revokedTokens }: BoardStores): Promise<void> {
  const expired = where('expiresAt', 'lt', new Date().toISOString())
  const rows = await revokedTokens.find({ where: expired, order: [['id', 'asc', 'string']], limit: 100 })
  for (const { id } of rows) await revokedTokens.delete(id, expired)
}
