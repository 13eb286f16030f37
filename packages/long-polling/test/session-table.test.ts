import { type Handshake, RtapiError, createApi } from '@rtapi/core'
import { type FakeClock, fakeClock } from '@rtapi/testing'
import { expect, test } from 'vitest'
import { Asking, type Headers, read } from './support/asking.ts'
import { httpHandler } from '../src/index.ts'

/** Tokens are the names of users, with anything behind a dash; those of `gone` are valid no more. */
function world() {
  const clock = fakeClock()
  const asked: Handshake[] = []
  const gone = new Set<string>()
  const api = createApi({
    resources: [],
    clock,
    authenticate(handshake) {
      asked.push(handshake)
      const token = handshake.token ?? /\buser=([^;]+)/.exec(handshake.headers['cookie'] ?? '')?.[1]
      if (token === undefined) return null
      if (gone.has(token)) throw new RtapiError('unauthenticated', 'no')
      return { user: { id: token.split('-')[0] ?? '' } }
    },
  })
  const asking = new Asking(httpHandler(api, { origins: 'any', acceptRate: Infinity }), clock)
  return { clock, asked, gone, api, asking }
}

const bearer = (token: string): Headers => ({ authorization: `Bearer ${token}` })

async function open(asking: Asking, headers: Headers, hello: object = {}): Promise<string> {
  const body = JSON.stringify({ type: 'hello', versions: [1], ...hello })
  return (await read(await asking.ask('POST', '/rt', { body, headers }))).head.session
}

/** Every way to name a session, by a client with these headers. */
async function statuses(asking: Asking, session: string, headers: Headers): Promise<number[]> {
  const found = [
    (await asking.frame(session, 1, '{"type":"pong"}', headers)).status,
    (await asking.ask('GET', `/rt/stream?session=${session}&cursor=1`, { headers })).status,
    (await asking.ask('POST', '/rt/poll', { body: JSON.stringify({ session, cursor: 0 }), headers })).status,
    (await asking.ask('POST', '/rt/close', { body: JSON.stringify({ session }), headers })).status,
  ]
  return found
}

/** Longer than a session trusts credentials that it has asked about, and no longer than it lives. */
async function later(asking: Asking, clock: FakeClock, session: string, headers: Headers): Promise<void> {
  for (let i = 0; i < 4; i++) {
    await clock.advance(20_000)
    await asking.poll(session, 1, { headers })
  }
}

test.each<[string, Headers, Headers]>([
  ['another user', bearer('ann'), bearer('bob')],
  ['nobody', bearer('ann'), {}],
  ['somebody whose token is none', bearer('ann'), bearer('gone')],
  ['another user by a cookie', { cookie: 'user=ann' }, { cookie: 'user=bob' }],
  ['a user, of a session that is nobody’s', {}, bearer('ann')],
])('for %s a session looks like one that does not exist, and stays as it was', async (_name, owner, other) => {
  const { asking, gone, api } = world()
  gone.add('gone')
  const session = await open(asking, owner)
  expect(await statuses(asking, session, other)).toEqual([404, 404, 404, 404])
  const body = JSON.stringify({ session, cursor: 0 })
  const foreign = await asking.ask('POST', '/rt/poll', { body, headers: other })
  const unknown = await asking.ask('POST', '/rt/poll', { body: body.replace(session, '0'.repeat(32)), headers: other })
  expect(await foreign.text()).toBe(await unknown.text())
  expect([...foreign.headers]).toEqual([...unknown.headers])
  expect(await statuses(asking, session, owner)).toEqual([200, 200, 200, 200])
  expect(api.stats().connections).toBe(0)
})

test('the API is not asked at each request, but once a minute', async () => {
  const { asking, clock, asked } = world()
  const headers = bearer('ann')
  const session = await open(asking, headers)
  await clock.advance(20_000)
  await asking.poll(session, 1, { headers })
  expect(asked.length).toBe(1)
  await later(asking, clock, session, headers)
  expect(asked.length).toBe(2)
})

test('new credentials of the same user are asked about once, and may take turns with the old ones', async () => {
  const { asking, asked } = world()
  const session = await open(asking, bearer('ann-1'))
  for (const [index, token] of ['ann-2', 'ann-2', 'ann-1', 'ann-2'].entries())
    expect((await asking.frame(session, index + 1, '{"type":"pong"}', bearer(token))).status).toBe(200)
  expect(asked.map(({ token }) => token)).toEqual(['ann-1', 'ann-2'])
})

test('credentials that are valid no more end the use of a session within a minute', async () => {
  const { asking, clock, gone } = world()
  const headers = bearer('ann')
  const session = await open(asking, headers)
  gone.add('ann')
  await later(asking, clock, session, headers)
  expect((await asking.frame(session, 1, '{"type":"pong"}', headers)).status).toBe(404)
})

test('a session cannot have the API asked for one new credential after the other', async () => {
  const { asking, asked, clock } = world()
  const session = await open(asking, bearer('ann'))
  const statuses: number[] = []
  for (let i = 1; i <= 61; i++) {
    const cookie = { ...bearer('ann'), cookie: `nonsense=${i}` }
    statuses.push((await asking.frame(session, i, '{"type":"pong"}', cookie)).status)
  }
  expect([statuses.indexOf(404), asked.length]).toEqual([60, 61])
  const known = { ...bearer('ann'), cookie: 'nonsense=60' }
  expect((await asking.frame(session, 61, '{"type":"pong"}', known)).status, 'with those it knows').toBe(200)
  await later(asking, clock, session, known)
  expect((await asking.frame(session, 62, '{"type":"pong"}', { ...bearer('ann'), cookie: 'x=y' })).status).toBe(200)
})

test('a token in hello counts in place of the header, and later requests bring it in theirs', async () => {
  const { asking, asked } = world()
  const session = await open(asking, {}, { token: 'ann' })
  expect(await statuses(asking, session, {})).toEqual([404, 404, 404, 404])
  expect(await statuses(asking, session, bearer('ann'))).toEqual([200, 200, 200, 200])
  expect(asked.filter(({ token }) => token === 'ann').length).toBe(1)
})

test('a session that the API has ended can be asked how, by whoever it was of', async () => {
  const { asking, api, gone, clock } = world()
  const headers = bearer('ann')
  const session = await open(asking, headers)
  await api.sessions.end({ user: 'ann' })
  gone.add('ann')
  await clock.settle()
  const body = JSON.stringify({ session, cursor: 1 })
  expect((await read(await asking.ask('POST', '/rt/poll', { body, headers }))).head.closed?.code).toBe(4440)
  expect((await asking.ask('POST', '/rt/poll', { body, headers: bearer('bob') })).status).toBe(404)
})

test('while the API cannot tell who somebody is, they are told to come back', async () => {
  const clock = fakeClock()
  let fails = false
  const api = createApi({
    resources: [],
    clock,
    report: () => undefined,
    authenticate() {
      if (fails) throw new Error('the database is away')
      return { user: { id: 'ann' } }
    },
  })
  const asking = new Asking(httpHandler(api), clock)
  const session = await open(asking, bearer('a'))
  fails = true
  const response = await asking.frame(session, 1, '{"type":"pong"}', bearer('b'))
  expect(response.status).toBe(500)
  expect(await response.json()).toMatchObject({ error: { code: 'internal', retryable: true } })
  fails = false
  expect((await asking.frame(session, 1, '{"type":"pong"}', bearer('b'))).status).toBe(200)
})

test('a session that never says hello is ended in time', async () => {
  const { asking, clock, api } = world()
  const { head } = await read(await asking.ask('POST', '/rt'))
  const held = await asking.poll(head.session, 0)
  await clock.advance(9_500)
  expect(held.isHeld).toBe(true)
  await clock.advance(1_000)
  expect((await held.answer).head.closed).toEqual({ code: 4408, reason: 'no hello in time' })
  expect(api.stats().connections).toBe(0)
  await clock.advance(31_000)
  expect(clock.timers).toBe(0)
})
