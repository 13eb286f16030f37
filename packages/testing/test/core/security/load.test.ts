import { logReport } from '@rtapi/core'
import { connect } from '@rtapi/testing'
import { afterEach, describe, expect, test } from 'vitest'
import { closeWorlds, codeOf, openWorld } from './security-world.ts'

afterEach(closeWorlds)

describe('A37 subscriptions without end', () => {
  test('leave nothing behind, however often they begin and end', async () => {
    const { api, clock, as } = openWorld({ limits: { rate: 1e9, burst: 1e9 } })
    const client = await as('ada')
    const before = api.stats()
    for (let i = 0; i < 10_000; i++) {
      client.send([
        { type: 'subscribe', id: `s${i}`, resource: 'notes', where: { id: i % 97 } },
        { type: 'unsubscribe', id: `s${i}` },
      ])
      if (i % 100 === 99) await clock.settle()
    }
    await clock.settle()
    expect(api.stats()).toEqual(before)
  })

  test('of one id are one, and nobody ends those of others', async () => {
    const world = openWorld()
    const [ada, bob] = [await world.as('ada'), await world.as('bob')]
    const view = await ada.subscribe({ id: 's', resource: 'notes' })
    ada.send({ type: 'subscribe', id: 's', resource: 'notes' })
    expect(await ada.next('reply')).toMatchObject({ ok: false, error: { code: 'conflict' } })
    bob.send({ type: 'unsubscribe', id: 's' })
    await bob.next('end')
    world.notes.update(1, { text: 'still there' })
    await view.until((rows) => rows[0]?.['text'] === 'still there')
  })

  test('are a hundred of a connection', async () => {
    const world = openWorld()
    const client = await world.as('ada')
    for (let i = 0; i < 101; i++) client.send({ type: 'subscribe', id: `s${i}`, resource: 'notes', where: { id: i } })
    expect(await client.next('end')).toMatchObject({ id: 's100', error: { code: 'limit_exceeded' } })
  })
})

describe('A38 a flood', () => {
  test.each([
    ['pings', () => '{"type":"ping"}'],
    ['pongs', () => '{"type":"pong"}'],
    ['requests', (i: number) => `{"type":"request","id":"r${i}","resource":"notes","action":"list"}`],
    ['new credentials', (i: number) => `{"type":"auth","id":"a${i}","token":"ada"}`],
    ['whole batches', () => `[${'{"type":"ping"},'.repeat(99)}{"type":"ping"}]`],
  ])('of %s is refused for a while, and closed with 4429 if it goes on', async (_name, frame) => {
    const { as, clock } = openWorld()
    const [client, honest] = [await as('ada'), await as('bob')]
    for (let i = 0; i < 3_000 && client.closed === undefined; i++) {
      client.sendRaw(frame(i))
      if (i % 30 === 29) await clock.settle()
    }
    expect(client.closed).toMatchObject({ code: 4429 })
    expect(await codeOf(honest, { resource: 'notes', action: 'list' })).toBe('ok')
  })
})

test('A39 connections of one user are twenty; by address and in all the transports count', async () => {
  const { api, as } = openWorld()
  for (let i = 0; i < 20; i++) await as('ada')
  const client = await connect(api, { hello: false })
  client.send({ type: 'hello', versions: [1], token: 'ada' })
  expect(await client.untilClosed()).toMatchObject({ code: 4429 })
  expect((await as('bob')).closed).toBeUndefined()
})

test('A40 a client that does not read holds a bounded queue, is reset, and closed', async () => {
  const world = openWorld({ limits: { heartbeatInterval: 1e9 } })
  const client = await world.as('ada')
  await client.subscribe({ resource: 'notes' })
  client.pause()
  let most = 0
  for (let i = 0; i < 3_000; i++) {
    world.notes.create({ owner: 'public', text: `${i} ${'x'.repeat(10_000)}` })
    await world.clock.settle()
    if (i % 100 === 99) await world.clock.advance(250)
    most = Math.max(
      most,
      client.frames.reduce((sum, { length }) => sum + length, 0),
    )
  }
  expect(most).toBeLessThan(2 * 1_048_576)
  await world.clock.advance(25_000)
  expect(client.closed).toMatchObject({ code: 4450 })
}, 30_000)

test('A41 who tries keys is answered later and later', async () => {
  const { as, clock } = openWorld()
  const client = await as('ada')
  const from = clock.monotonic()
  for (let i = 0; i < 120; i++) {
    client.send({ type: 'request', id: `r${i}`, resource: 'notes', action: 'get', key: 1_000 + i })
    for (
      let waited = 0;
      waited < 40_000 && !client.messages.some((m) => m.type === 'reply' && m.id === `r${i}`);
      waited += 500
    )
      await clock.advance(500)
  }
  expect(clock.monotonic() - from).toBeGreaterThan(55_000)
})

test('A44 what is logged is one line of plain characters, cut, and holds no payload and no token', async () => {
  const lines: string[] = []
  const world = openWorld({
    report: (error, context) => logReport((line) => lines.push(line), world.clock)(error, context),
    rules: [
      {
        scope({ session }) {
          if (session.user?.id !== 'secrettoken') return true
          throw new Error(`\u001b[31mno\r\nsuch table${'x'.repeat(100_000)}`)
        },
      },
    ],
  })
  const client = await world.as('secrettoken')
  for (const text of ['PAYLOAD\r\nforged line', '\u001b[2J', 'x'.repeat(30_000)])
    await client.request({ resource: 'notes', action: 'list', where: { text } })
  await client.request({ resource: 'notes', action: 'create', data: { owner: 'ada', text: 'PAYLOAD' } })
  expect(lines.length).toBeGreaterThan(3)
  for (const line of lines) {
    expect(line).toMatch(/^[\x20-\x7e\u2026]+$/)
    expect(line.length).toBeLessThan(4_000)
    expect(JSON.parse(line)).toMatchObject({ during: 'permission.scope', resource: 'notes' })
  }
  expect(lines.join('\n')).not.toMatch(/PAYLOAD|secrettoken|forged/)
})

describe('A50 code of the application that fails', () => {
  test.each([
    [
      'throws',
      () => {
        throw new Error('broken')
      },
    ],
    ['rejects', () => Promise.reject(new Error('broken'))],
    ['never ends', () => new Promise<never>(() => undefined)],
    [
      'throws nothing',
      () => {
        throw undefined as unknown as Error
      },
    ],
    ['answers what is no answer', () => Symbol('nothing') as unknown as boolean],
  ] satisfies readonly (readonly [string, () => unknown])[])(
    '%s: that request fails within five seconds, and no other',
    async (_name, fail) => {
      const world = openWorld({
        rules: [{ scope: ({ session }) => (session.user?.id === 'ada' ? fail() : true) }],
      })
      const [ada, bob] = [await world.as('ada'), await world.as('bob')]
      ada.send({ type: 'request', id: 'r', resource: 'notes', action: 'list' })
      ada.send({ type: 'subscribe', id: 's', resource: 'notes' })
      expect(await codeOf(bob, { resource: 'notes', action: 'list' })).toBe('ok')
      await world.clock.advance(5_100)
      expect(await ada.reply('r')).toMatchObject({ ok: false, error: { code: 'unavailable' } })
      expect(await ada.next('end')).toMatchObject({ id: 's', error: { code: 'unavailable' } })
      expect(ada.received).not.toContain('broken')
      expect(world.reports.splice(0).length).toBeGreaterThan(0)
    },
  )
})
