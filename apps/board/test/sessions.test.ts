import { type TestContext, afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { type BoardProcess, postJson, startBoard, temporaryFolder } from '../../e2e/src/board-process.ts'
import { createdKey } from '../../e2e/src/replies.ts'
import { type WireClient, connect } from '../../e2e/src/wire-client.ts'

// Processes take their time where many tests run at once.
vi.setConfig({ testTimeout: 30_000, hookTimeout: 60_000 })

const revoked = 4440
let board: BoardProcess
let removeFolder: () => Promise<void>
let root: WireClient

beforeAll(async () => {
  const folder = await temporaryFolder()
  removeFolder = folder.remove
  board = await startBoard(['--db', `sqlite:${folder.path}/sessions.sqlite`, '--seed', 'empty'])
  root = await connect(board.line, { token: await board.login('root') })
})

afterAll(async () => {
  await board.stop()
  await removeFolder()
})

const origin = (): string => board.line.http

/** A user of this test's own. */
async function newUser({ task }: Pick<TestContext, 'task'>): Promise<{ id: number; name: string; token: string }> {
  const name = task.id.slice(-40)
  const id = createdKey(await root.request('users', 'create', { data: { name, password: 'pw' } }))
  return { id, name, token: await board.login(name) }
}

async function closeCode(client: WireClient): Promise<number> {
  return (await client.closed).code
}

describe('connections of a user end', () => {
  test('who is switched off', async (context) => {
    const user = await newUser(context)
    const clients = [await connect(board.line, user), await connect(board.line, user)]
    await root.request('users', 'update', { key: user.id, data: { active: false } })
    expect(await Promise.all(clients.map(closeCode))).toEqual([revoked, revoked])
  })

  test('who is deleted', async (context) => {
    const user = await newUser(context)
    const client = await connect(board.line, user)
    await root.request('users', 'delete', { key: user.id })
    expect(await closeCode(client)).toBe(revoked)
    await expect(connect(board.line, user)).rejects.toThrow('4401')
  })

  test('and do not end when only the name changes', async (context) => {
    const user = await newUser(context)
    const client = await connect(board.line, user)
    await root.request('users', 'update', { key: user.id, data: { name: `${user.name} Smith` } })
    expect(await client.request('users', 'get', { key: user.id })).toMatchObject({
      data: { name: `${user.name} Smith` },
    })
    await client.close()
  })
})

test('who was switched off cannot come back, by token or password, until switched on', async (context) => {
  const user = await newUser(context)
  await root.request('users', 'update', { key: user.id, data: { active: false } })
  await expect(connect(board.line, user)).rejects.toThrow('4401')
  await expect(board.login(user.name)).rejects.toThrow('401')
  await root.request('users', 'update', { key: user.id, data: { active: true } })
  await (await connect(board.line, { token: await board.login(user.name) })).close()
})

test('a new role counts at once, on the connection that there is', async (context) => {
  const user = await newUser(context)
  const client = await connect(board.line, user)
  expect(await client.request('users', 'get', { key: user.id })).toMatchObject({ data: { name: user.name } })
  const view = await client.subscribe('users', { where: { id: user.id } })
  expect(view.rows.get(user.id)).not.toHaveProperty('role')
  await root.request('users', 'update', { key: user.id, data: { role: 'admin' } })
  await view.until(() => view.rows.get(user.id)?.['role'] === 'admin')
  expect(await client.request('users', 'get', { key: user.id })).toMatchObject({ data: { role: 'admin' } })
  expect(view.ended).toBeUndefined()
  await client.close()
})

describe('logout', () => {
  test('ends the connections of that sign-in, revokes the token, and leaves other sign-ins alone', async (context) => {
    const user = await newUser(context)
    const other = await connect(board.line, { token: await board.login(user.name) })
    const client = await connect(board.line, user)
    const response = await postJson(`${board.line.http}/logout`, undefined, { authorization: `Bearer ${user.token}` })
    expect(response.status).toBe(204)
    expect(await closeCode(client)).toBe(revoked)
    await expect(connect(board.line, user)).rejects.toThrow('4401')
    expect(await other.request('users', 'get', { key: user.id })).toMatchObject({ ok: true })
    await other.close()
  })

  test('by cookie clears the cookie', async (context) => {
    const user = await newUser(context)
    const response = await postJson(`${board.line.http}/logout`, undefined, {
      cookie: `board_token=${user.token}`,
      origin: origin(),
    })
    expect(response.status).toBe(204)
    expect(response.headers.get('set-cookie')).toMatch(/^board_token=; Path=\/; Max-Age=0; SameSite=Lax; HttpOnly$/)
    await expect(connect(board.line, user)).rejects.toThrow('4401')
  })

  test('twice, or as nobody, is no error', async (context) => {
    const user = await newUser(context)
    const logout = async (headers: Readonly<Record<string, string>>): Promise<number> =>
      (await postJson(`${board.line.http}/logout`, undefined, headers)).status
    expect(await logout({ authorization: `Bearer ${user.token}` })).toBe(204)
    expect(await logout({ authorization: `Bearer ${user.token}` })).toBe(204)
    expect(await logout({})).toBe(204)
  })
})

describe('login', () => {
  const login = (body: unknown, headers = {}): Promise<Response> => postJson(`${board.line.http}/login`, body, headers)

  test('answers a token and sets it as a cookie', async () => {
    const before = Date.now()
    const response = await login({ name: 'alice', password: 'pw' })
    expect(response.status).toBe(200)
    expect(response.headers.get('cache-control')).toBe('no-store')
    const { token, expiresAt } = (await response.json()) as { token: string; expiresAt: number }
    expect(token.split('.')).toHaveLength(3)
    expect(expiresAt).toBeGreaterThan(before + 3_590_000)
    expect(expiresAt).toBeLessThan(before + 3_610_000)
    expect(response.headers.get('set-cookie')).toBe(
      `board_token=${token}; Path=/; Max-Age=3600; SameSite=Lax; HttpOnly`,
    )
  })

  test('answers a wrong name as it does a wrong password', async () => {
    const wrongName = await login({ name: 'nobody', password: 'pw' })
    const wrongPassword = await login({ name: 'alice', password: 'PW' })
    expect([wrongName.status, wrongPassword.status]).toEqual([401, 401])
    expect(await wrongName.text()).toBe(await wrongPassword.text())
  })

  test.each<[string, unknown, number]>([
    ['no password', { name: 'alice' }, 400],
    ['a field too many', { name: 'alice', password: 'pw', admin: true }, 400],
    ['an object for a name', { name: { $ne: '' }, password: 'pw' }, 400],
    ['more than 4 KiB', { name: 'alice', password: 'x'.repeat(5_000) }, 413],
  ])('refuses %s', async (_, body, status) => {
    expect((await login(body)).status).toBe(status)
  })

  test('takes JSON by POST alone, from its own origin alone', async () => {
    const url = `${board.line.http}/login`
    const text = JSON.stringify({ name: 'alice', password: 'pw' })
    expect((await fetch(url)).status).toBe(405)
    expect((await fetch(url, { method: 'POST', body: text })).status).toBe(415)
    expect(
      (await fetch(url, { method: 'POST', body: '{', headers: { 'content-type': 'application/json' } })).status,
    ).toBe(400)
    expect((await login({ name: 'alice', password: 'pw' }, { origin: 'http://evil.example' })).status).toBe(403)
    expect((await login({ name: 'alice', password: 'pw' }, { origin: 'null' })).status).toBe(403)
    expect((await login({ name: 'alice', password: 'pw' }, { origin: origin() })).status).toBe(200)
  })
})

describe('a connection is', () => {
  let token: string
  beforeEach(async () => {
    token = await board.login('bob')
  })
  const userOf = async (options: Parameters<typeof connect>[1]): Promise<unknown> => {
    const client = await connect(board.line, options)
    const { user } = await client.welcomed
    await client.close()
    return user
  }

  test("the token's user, by hello, header or cookie", async () => {
    const bob = await userOf({ token })
    expect(bob).toBeTypeOf('number')
    expect(await userOf({ headers: { authorization: `Bearer ${token}` } })).toBe(bob)
    expect(await userOf({ headers: { cookie: `x=1; board_token=${token}`, origin: origin() } })).toBe(bob)
  })

  test('anonymous without a token', async () => {
    expect(await userOf({})).toBeUndefined()
    expect(await userOf({ headers: { cookie: 'x=1', origin: origin() } })).toBeUndefined()
  })

  test('refused with a cookie from another origin, or from none', async () => {
    const cookie = `board_token=${token}`
    for (const headers of [{ cookie }, { cookie, origin: 'http://evil.example' }, { cookie, origin: 'null' }]) {
      await expect(connect(board.line, { headers })).rejects.toThrow('1006')
    }
  })

  test.each([
    ['garbage', () => 'garbage'],
    ['with another signature', () => `${token.slice(0, -6)}AAAAAA`],
    ['without a signature', () => `${encode({ alg: 'none', typ: 'JWT' })}.${token.split('.')[1]}.`],
    ['of another algorithm', () => `${encode({ alg: 'HS512', typ: 'JWT' })}.${token.split('.').slice(1).join('.')}`],
    ['empty', () => ''],
  ])('refused with a token that is %s', async (_, make) => {
    await expect(connect(board.line, { token: make() })).rejects.toThrow('4401')
  })

  test('anonymous again after auth with null, whatever cookie it came with', async () => {
    const client = await connect(board.line, { headers: { cookie: `board_token=${token}`, origin: origin() } })
    client.send({ type: 'auth', id: 'a', token: null })
    // Another identity: the client is to come back as it is now.
    expect(await closeCode(client)).toBe(4451)
  })
})

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

describe('where somebody is connected', () => {
  const ask = (headers: Record<string, string>): Promise<Response> => fetch(`${origin()}/connections`, { headers })

  test('they are told themselves, and nobody else', async (context) => {
    const user = await newUser(context)
    const client = await connect(board.line, user)
    const { connection } = await client.welcomed
    const response = await ask({ authorization: `Bearer ${user.token}` })
    const mine = { connection, user: user.id, transport: 'ws', subscriptions: 0 }
    expect(await response.json()).toMatchObject({ connections: [mine], complete: true })
    for (const headers of [{}, { authorization: 'Bearer false' }]) expect((await ask(headers)).status).toBe(401)
    await client.close()
    await vi.waitFor(async () => {
      const { connections } = (await (await ask({ authorization: `Bearer ${user.token}` })).json()) as {
        connections: []
      }
      expect(connections).toEqual([])
    })
  })
})
