import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Api } from '@rtapi/core'
import { z } from 'zod'
import { bearerToken, isOwnOrigin } from '../authenticate.ts'
import type { BoardStores } from '../domain/board-database.ts'
import { findOne, where } from '../domain/queries.ts'
import { verifyPassword } from '../passwords.ts'
import type { TokenClaims, Tokens } from '../tokens.ts'
import { HttpError, readJson } from './json-body.ts'
import { slowGuessing } from './slow-guessing.ts'
import { dropTokenCookie, keepTokenCookie, tokenCookie } from './token-cookie.ts'

/** The requests `POST /login`, `POST /logout` and `GET /connections`. Each answers, or throws an `HttpError`. */
export interface SignIn {
  login(request: IncomingMessage, response: ServerResponse): Promise<void>
  logout(request: IncomingMessage, response: ServerResponse): Promise<void>
  /** Where whoever asks is connected: `{ connections, complete }`, on all nodes. */
  connections(request: IncomingMessage, response: ServerResponse): Promise<void>
}

const credentials = z.strictObject({ name: z.string().max(200), password: z.string().max(1_000) })

export function signIn(stores: BoardStores, tokens: Tokens, sessions: Api['sessions']): SignIn {
  const guesses = slowGuessing()
  const claimsOf = async ({ headers }: IncomingMessage): Promise<TokenClaims | null> => {
    const token = bearerToken(headers.authorization) ?? tokenCookie(headers.cookie)
    return token === null ? null : tokens.verify(token)
  }

  return {
    async login(request, response) {
      refuseOtherOrigins(request)
      const body = credentials.safeParse(await readJson(request))
      if (!body.success) throw new HttpError(400, 'Send { "name": "…", "password": "…" }.')
      const { name, password } = body.data
      const verdict = await guesses.attempt(`${request.socket.remoteAddress} ${name}`, async () => {
        const user = await findOne(stores.users, where('name', 'eq', name))
        return (await verifyPassword(password, user?.passwordHash)) && user?.active === true ? user : null
      })
      if (verdict === null) throw new HttpError(401, 'The name or the password is wrong.')
      const { token, expiresAt } = await tokens.issue(verdict.id)
      const seconds = Math.max(1, Math.ceil((expiresAt - Date.now()) / 1000))
      response.setHeader('set-cookie', keepTokenCookie(token, seconds))
      answerJson(response, 200, { token, expiresAt })
    },

    async logout(request, response) {
      refuseOtherOrigins(request)
      const cookie = tokenCookie(request.headers.cookie)
      const token = bearerToken(request.headers.authorization) ?? cookie
      const claims = await claimsOf(request)
      if (claims !== null) {
        await tokens.revoke(claims)
        await sessions.end({ session: claims.sessionId, reason: 'signed out' })
      }
      // Another sign-in of this browser stays.
      if (token === cookie) response.setHeader('set-cookie', dropTokenCookie)
      response.writeHead(204).end()
    },

    async connections(request, response) {
      const claims = await claimsOf(request)
      if (claims === null) throw new HttpError(401, 'Sign in first.')
      answerJson(response, 200, await sessions.list({ user: claims.userId }))
    },
  }
}

/** Writes a JSON answer that no cache keeps. */
export function answerJson(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' })
  response.end(JSON.stringify(value))
}

/** Browsers name the origin of each POST; programs name none. */
function refuseOtherOrigins({ headers }: IncomingMessage): void {
  if (headers.origin !== undefined && !isOwnOrigin(headers)) throw new HttpError(403, 'This origin is not allowed.')
}
