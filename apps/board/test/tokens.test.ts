import { memoryStore } from '@rtapi/core'
import { SignJWT } from 'jose'
import { describe, expect, test } from 'vitest'
import type { BoardStores } from '../src/domain/board-database.ts'
import { createTokens } from '../src/tokens.ts'

function newStores(): BoardStores {
  return {
    settings: memoryStore({ entity: 'Setting', key: 'name', fields: { name: 'string', value: 'string' } }),
    revokedTokens: memoryStore({ entity: 'RevokedToken', fields: { id: 'string', expiresAt: 'date' } }),
  } as unknown as BoardStores
}

test('a token names its user and a session of its own', async () => {
  const tokens = await createTokens(newStores(), 60)
  const [one, other] = [await tokens.issue(7), await tokens.issue(7)]
  const claims = await tokens.verify(one.token)
  expect(claims).toMatchObject({ userId: 7, expiresAt: one.expiresAt })
  expect(claims?.sessionId).toMatch(/^[\w-]{36}$/)
  expect((await tokens.verify(other.token))?.sessionId).not.toBe(claims?.sessionId)
})

test('all processes on one database sign with the same key, made once', async () => {
  const stores = newStores()
  const [one, other] = await Promise.all([createTokens(stores, 60), createTokens(stores, 60)])
  expect(await other.verify((await one.issue(7)).token)).toMatchObject({ userId: 7 })
  const elsewhere = await createTokens(newStores(), 60)
  expect(await elsewhere.verify((await one.issue(7)).token)).toBeNull()
})

test('a revoked token is no longer valid, on every process, and others are', async () => {
  const stores = newStores()
  const [one, other] = [await createTokens(stores, 60), await createTokens(stores, 60)]
  const [token, kept] = [(await one.issue(7)).token, (await one.issue(7)).token]
  const claims = await one.verify(token)
  if (claims === null) throw new Error('a new token must be valid')
  await one.revoke(claims)
  await other.revoke(claims)
  expect(await other.verify(token)).toBeNull()
  expect(await other.verify(kept)).not.toBeNull()
})

test('what is revoked is forgotten once it has expired', async () => {
  const stores = newStores()
  const tokens = await createTokens(stores, 60)
  await tokens.revoke({ sessionId: 'old', userId: 7, expiresAt: Date.now() - 1_000 })
  await tokens.revoke({ sessionId: 'new', userId: 7, expiresAt: Date.now() + 60_000 })
  expect((await stores.revokedTokens.read(['old', 'new'])).map(({ id }) => id)).toEqual(['new'])
})

describe('not valid is a token', () => {
  async function keyOf(stores: BoardStores): Promise<Buffer> {
    const [row] = await stores.settings.read(['token-key'])
    return Buffer.from(row?.value ?? '', 'base64url')
  }

  test('that has expired', async () => {
    const tokens = await createTokens(newStores(), -10)
    expect(await tokens.verify((await tokens.issue(7)).token)).toBeNull()
  })

  const whole = { iss: 'rtapi-board', aud: 'rtapi-board', sub: '7', jti: 'x', exp: 4_000_000_000 }

  test.each<[string, object, string]>([
    ['for somebody else', { aud: 'other' }, 'HS256'],
    ['from somebody else', { iss: 'other' }, 'HS256'],
    ['that holds for ever', { exp: undefined }, 'HS256'],
    ['of no session', { jti: undefined }, 'HS256'],
    ['of nobody', { sub: 'nobody' }, 'HS256'],
    ['that is not valid yet', { nbf: 4_000_000_000 }, 'HS256'],
    ['of another algorithm', {}, 'HS512'],
  ])('%s', async (_, change, alg) => {
    const stores = newStores()
    const tokens = await createTokens(stores, 60)
    const sign = async (claims: object, alg: string): Promise<string> =>
      new SignJWT({ ...claims }).setProtectedHeader({ alg }).sign(await keyOf(stores))
    expect(await tokens.verify(await sign(whole, 'HS256'))).toMatchObject({ userId: 7 })
    expect(await tokens.verify(await sign({ ...whole, ...change }, alg))).toBeNull()
  })
})
