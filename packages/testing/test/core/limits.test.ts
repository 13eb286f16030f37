import { type Limits, defaultLimits } from '@rtapi/core'
import { type TestClient, connect } from '@rtapi/testing'
import { afterEach, expect, test } from 'vitest'
import { limitCases, list } from './limit-cases.ts'
import { closeWorlds, open, state, told } from './limit-world.ts'

afterEach(closeWorlds)

test.each(Object.entries(limitCases))('%s: within and beyond', async (name, given) => {
  const limit = given.limit ?? defaultLimits[name as keyof Limits]
  const { at = (n) => n, above = (n) => n + 1, probe, rest } = given
  const limits = { ...rest, [name]: limit }
  expect([await probe(await open(limits), at(limit)), await probe(await open(limits), above(limit))]).toEqual([
    given.within,
    given.beyond,
  ])
})

test('every limit has a default, above nothing', () => {
  expect(Object.keys(limitCases).sort()).toEqual(Object.keys(defaultLimits).sort())
  for (const value of Object.values(defaultLimits)) expect(value).toBeGreaterThan(0)
})

test.each([
  ['rate_limited', 'burst', 601],
  ['unavailable', 'loopLag', 251],
] as const)('%s says when to come back', async (code, name, amount) => {
  const world = await open({})
  expect(await limitCases[name].probe(world, amount)).toBe(code)
  const refused = world.client.messages.at(-1)
  expect(refused).toMatchObject({ error: { code, retryable: true, retryAfter: expect.any(Number) as number } })
  const wait = refused?.type === 'reply' && !refused.ok ? (refused.error.retryAfter ?? 0) : 0
  await world.clock.advance(wait)
  expect(await told(world, list({}))).toBe('ok')
})

test('while the process is behind, a view is refused with when to come back, and those that are there go on', async () => {
  const world = await open({})
  const view = await world.client.subscribe({ resource: 'notes' })
  await limitCases.loopLag.probe(world, 251)
  expect(await told(world, { type: 'subscribe', id: 's', resource: 'notes' })).toBe('unavailable')
  world.notes.update(1, { text: 'still live' })
  await view.until((rows) => rows[0]?.['text'] === 'still live')
})

test('a process that stood still takes no silence amiss', async () => {
  const world = await open({})
  const silent = await connect(world.api, { pong: false })
  const late = await connect(world.api, { hello: false })
  await world.clock.advance(9_000)
  world.clock.stall(120_000)
  await world.clock.advance(0)
  expect([state(silent), state(late)]).toEqual(['open', 'open'])
  // What has come meanwhile is read before the next look.
  silent.send({ type: 'pong' })
  late.send({ type: 'hello', versions: [1], token: 'bob' })
  await world.clock.advance(5_000)
  expect([state(silent), state(late)]).toEqual(['open', 'open'])
})

test('who asks for what is not there waits longer and longer, on all connections of the user; others do not', async () => {
  const world = await open({ misses: 60 })
  const miss = (client: TestClient, i: number): void =>
    client.send({ type: 'request', id: `m${i}`, resource: 'notes', action: 'get', key: 1_000 + i })
  for (let i = 0; i < 60; i++) {
    miss(world.client, i)
    if (i % 20 === 19) await world.clock.settle()
  }
  const [second, bob] = [await connect(world.api, { token: 'ada' }), await connect(world.api, { token: 'bob' })]
  for (let i = 0; i < 5; i++) miss(second, i)
  await world.clock.settle()
  const answered = (): number => second.messages.filter(({ type }) => type === 'reply').length
  expect(await second.request({ resource: 'notes', action: 'get', key: 1 })).toMatchObject({ ok: true })
  miss(bob, 0)
  expect(await bob.reply('m0')).toMatchObject({ error: { code: 'not_found' } })
  const counts = []
  for (let i = 0; i < 5; i++) {
    await world.clock.advance(1_001)
    counts.push(answered() - 1)
  }
  expect(counts).toEqual([1, 2, 3, 4, 5])
  expect(world.api.stats().timers).toBe(1)
})

test('an answer that is held back ends with its connection', async () => {
  const world = await open({ misses: 1 })
  for (let i = 0; i < 5; i++)
    world.client.send({ type: 'request', id: `m${i}`, resource: 'notes', action: 'get', key: 99 })
  await world.clock.settle()
  expect(world.api.stats().timers).toBeGreaterThan(1)
  await world.client.close()
  await world.clock.settle()
  expect(world.api.stats().timers).toBe(0)
})
