import { RtapiError } from '@rtapi/core'
import { connect } from '@rtapi/testing'
import { afterEach, describe, expect, test } from 'vitest'
import { closeWorlds, codeOf, openWorld } from './security-world.ts'

afterEach(closeWorlds)

describe('A5 who does not say who they are', () => {
  test.each([
    ['says nothing', []],
    ['pings', ['{"type":"ping"}']],
    ['sends what cannot be read', ['{']],
  ])('is closed after ten seconds: %s', async (_name, frames) => {
    const { api, clock } = openWorld()
    const client = await connect(api, { hello: false })
    for (const frame of frames) client.sendRaw(frame)
    await clock.advance(9_500)
    expect(client.closed).toBeUndefined()
    await clock.advance(1_000)
    expect(client.closed).toMatchObject({ code: 4408 })
  })

  test('asks for nothing before it is known: what came with a bad token is not served', async () => {
    const world = openWorld()
    const client = await connect(world.api, { hello: false })
    client.send([
      { type: 'hello', versions: [1], token: 'NOBODY' },
      { type: 'request', id: 'a', resource: 'notes', action: 'list' },
      { type: 'subscribe', id: 'b', resource: 'notes' },
    ])
    expect(await client.untilClosed()).toMatchObject({ code: 4401 })
    expect(client.messages.map(({ type }) => type)).toEqual(['goodbye'])
  })
})

describe('A6 credentials that are none', () => {
  test.each(['', 'X'.repeat(8_192), 'a.b.c', '{"alg":"none"}', 'ada\u0000'])('%#', async (token) => {
    const { api } = openWorld()
    await expect(connect(api, { token })).rejects.toThrow('4401')
  })

  test('too long to be any are not looked at', async () => {
    let asked = 0
    const { api } = openWorld({ authenticate: ({ token }) => ((asked += token === undefined ? 0 : 1), null) })
    const client = await connect(api, { hello: false })
    client.sendRaw(JSON.stringify({ type: 'hello', versions: [1], token: 'x'.repeat(8_193) }))
    expect(await client.next('reply')).toMatchObject({ error: { code: 'bad_request' } })
    expect([asked, client.received.includes('xxx')]).toEqual([0, false])
  })

  test('another writing of the same token does not outlive the end of its session', async () => {
    // The application knows both as one session: `end` names the session, and not the text of a token.
    const { api, clock } = openWorld({
      authenticate: ({ token }) => ({ user: { id: 'ada' }, id: (token ?? '').replace(/=+$/, '') }),
    })
    const clients = [await connect(api, { token: 'abc' }), await connect(api, { token: 'abc==' })]
    await api.sessions.end({ session: 'abc' })
    await clock.settle()
    expect(clients.map(({ closed }) => closed?.code)).toEqual([4440, 4440])
  })

  test('what authenticate fails with reaches nobody', async () => {
    const world = openWorld({
      authenticate({ token }) {
        if (token === 'honest') return { user: { id: token } }
        throw token === 'a'
          ? new Error('select * from users')
          : new RtapiError('unauthenticated', 'user 7 is banned since Monday')
      },
    })
    for (const [token, code] of [
      ['a', 4500],
      ['b', 4401],
    ] as const) {
      const client = await connect(world.api, { hello: false })
      client.send({ type: 'hello', versions: [1], token })
      expect(await client.untilClosed()).toMatchObject({ code })
      expect(client.received).not.toMatch(/select|banned/)
    }
    expect(world.reports.splice(0)).toHaveLength(1)
  })
})

describe('A7 a session that is over', () => {
  test('stops what is live within a second, answers nothing, and is closed', async () => {
    const world = openWorld({
      authenticate: ({ token }) => ({
        user: { id: String(token), role: 'admin' },
        ...(token === 'ada' ? { expiresAt: start + 60_000 } : {}),
      }),
    })
    const { clock } = world
    const start = clock.now()
    const client = await world.as('ada')
    await client.subscribe({ resource: 'notes' })
    await clock.advance(61_000)
    world.notes.update(1, { text: 'too late' })
    await clock.settle()
    expect(await codeOf(client, { resource: 'notes', action: 'list' })).toBe('unauthenticated')
    expect(client.received).not.toContain('too late')
    await clock.advance(25_000)
    expect(client.closed).toMatchObject({ code: 4451 })
  })

  test('is not continued by another user', async () => {
    const world = openWorld()
    const client = await world.as('ada')
    await client.subscribe({ resource: 'notes' })
    client.send({ type: 'auth', id: 'x', token: 'bob' })
    expect(await client.untilClosed()).toMatchObject({ code: 4451 })
    expect(client.received).not.toContain('text of bob')
  })

  test('is not resumed by whoever has its position', async () => {
    const ended = new Set<string>()
    const world = openWorld({
      authenticate({ token }) {
        if (ended.has(String(token))) throw new RtapiError('unauthenticated', 'signed out')
        return { user: { id: String(token) }, id: `session of ${token}` }
      },
    })
    const client = await world.as('ada')
    const { position = '' } = await client.subscribe({ resource: 'notes' })
    ended.add('ada')
    await world.api.sessions.end({ session: 'session of ada' })
    expect(await client.untilClosed()).toMatchObject({ code: 4440 })
    const again = await connect(world.api, { hello: false })
    again.send([
      { type: 'hello', versions: [1], token: 'ada' },
      { type: 'subscribe', id: 's', resource: 'notes', since: position, have: [1] },
    ])
    expect(await again.untilClosed()).toMatchObject({ code: 4401 })
    expect(again.messages.map(({ type }) => type)).toEqual(['goodbye'])
  })
})

test('A42 a replayed write runs once, another under its key is a conflict, and keys of others are theirs', async () => {
  const world = openWorld()
  const [ada, again, bob] = [await world.as('ada'), await world.as('ada'), await world.as('bob')]
  const create = { resource: 'notes', action: 'create', data: { owner: 'ada', text: 'once' }, idempotencyKey: 'k' }
  const first = await ada.request({ ...create, id: 'r' })
  expect(await again.request({ ...create, id: 'r' })).toEqual(first)
  expect(await codeOf(again, { ...create, data: { owner: 'ada', text: 'twice' } })).toBe('conflict')
  const his = await bob.request({ ...create, data: { owner: 'bob', text: 'his' } })
  expect(his).toMatchObject({ ok: true, data: { owner: 'bob' } })
  expect(bob.received).not.toContain('once')
  expect(world.notes.find().filter(({ id }) => id > 3)).toMatchObject([{ text: 'once' }, { text: 'his' }])
})
