import { type Api, type Json, type MemoryStore, allowAny, createApi, defineResource, memoryStore } from '@rtapi/core'
import { type FakeClock, type TestClient, connect, fakeClock } from '@rtapi/testing'
import { beforeEach, describe, expect, test } from 'vitest'

type Note = { id: number; topicId: number; text: string; open: boolean }

let clock: FakeClock
let store: MemoryStore<Note>
let api: Api
let client: TestClient

beforeEach(async () => {
  clock = fakeClock()
  store = memoryStore<Note>({
    entity: 'Note',
    fields: { id: 'integer', topicId: 'integer', text: 'string', open: 'boolean' },
  })
  const notes = defineResource('notes', {
    store,
    permissions: [allowAny, { scope: () => ({ open: true }) }],
    input: { create: ['topicId', 'text', 'open'], update: ['text', 'topicId', 'open'] },
  })
  api = createApi({ resources: [notes], changes: [store], clock })
  client = await connect(api)
})

const add = (id: number, note: Partial<Note> = {}) =>
  store.create({ id, topicId: 1, text: `t${id}`, open: true, ...note })
const subscribe = (query: object = {}) => client.subscribe({ resource: 'notes', ...query })

describe('what a change is called', () => {
  test.each<[string, (before: Note | undefined) => void, string | undefined]>([
    ['a new row that matches', () => add(2), 'create'],
    ['a new row elsewhere', () => add(2, { topicId: 2 }), undefined],
    ['a new row that is hidden', () => add(2, { open: false }), undefined],
    ['an update', () => store.update(1, { text: 'x' }), 'update'],
    ['an update that leaves the filter', () => store.update(1, { topicId: 2 }), 'leave'],
    ['an update that hides the row', () => store.update(1, { open: false }), 'delete'],
    ['an update that does both', () => store.update(1, { open: false, topicId: 2 }), 'delete'],
    ['a deletion', () => store.delete(1), 'delete'],
    ['an update that enters the filter', () => store.update(7, { topicId: 1 }), 'enter'],
    ['an update that shows a hidden row', () => store.update(8, { open: true }), 'enter'],
    ['a change of a row elsewhere', () => store.update(7, { text: 'x' }), undefined],
    ['a deletion of a row elsewhere', () => store.delete(7), undefined],
    ['a deletion of a hidden row', () => store.delete(8), undefined],
  ])('%s', async (_name, change, action) => {
    add(1)
    add(7, { topicId: 2 })
    add(8, { open: false })
    const view = await subscribe({ where: { topicId: 1 } })
    change(undefined)
    if (action === undefined) return client.receiveNothing()
    const { changes } = await view.next('changes')
    expect(changes).toHaveLength(1)
    expect(changes[0]).toMatchObject({ action })
    expect('data' in (changes[0] ?? {})).toBe(action !== 'leave' && action !== 'delete')
  })

  test('a change of fields that are not shown is none', async () => {
    add(1)
    await subscribe({ fields: ['id', 'topicId'] })
    store.update(1, { text: 'unseen' })
    await client.receiveNothing()
  })

  test('the changes of a tick are one message, with the newest of each row', async () => {
    const view = await subscribe()
    add(1)
    add(2)
    store.update(1, { text: 'newest' })
    add(3)
    store.delete(3)
    const { changes } = await view.next('changes')
    expect(changes.map(({ action, key, data }) => [action, key, data?.['text']])).toEqual([
      ['create', 1, 'newest'],
      ['create', 2, 't2'],
    ])
  })
})

test('subscriptions that ask for the same share one message', async () => {
  const other = await connect(api)
  const [a, b] = [await subscribe({ where: { topicId: 1 } }), await subscribe({ where: { topicId: { eq: 1 } } })]
  const c = await other.subscribe({ resource: 'notes', where: { and: [{ topicId: { in: [1] } }] } })
  expect(api.stats()).toMatchObject({ subscriptions: 3, feeds: 1 })
  expect([a.feed, b.feed]).toEqual([c.feed, c.feed])
  const before = client.messages.length
  add(1)
  await c.next('changes')
  expect(client.messages.length).toBe(before + 1)
  expect([a.keys, b.keys, c.keys]).toEqual([[1], [1], [1]])
})

describe('a window', () => {
  /** Every state of a small table, against sorting and cutting it. */
  test.each([1, 2, 3, 4])('of %i rows equals the first rows of the order after every change', async (limit) => {
    for (const direction of ['asc', 'desc'] as const) {
      const view = await subscribe({ order: [['text', direction]], limit, where: { topicId: 1 } })
      let seed = limit
      for (let step = 0; step < 120; step++) {
        seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648
        const id = 1 + (seed % 8)
        const text = 'abc'.charAt((seed >> 8) % 3)
        const there = store.read([id])[0]
        if (there === undefined) add(id, { text })
        else if ((seed >> 12) % 3 === 0) store.delete(id)
        else if ((seed >> 12) % 3 === 1) store.update(id, { topicId: there.topicId === 1 ? 2 : 1 })
        else store.update(id, { text })
        await clock.settle()
        const sign = direction === 'asc' ? 1 : -1
        const wanted = store
          .find()
          .filter(({ topicId }) => topicId === 1)
          .sort((a, b) => sign * (a.text < b.text ? -1 : a.text > b.text ? 1 : 0) || a.id - b.id)
          .slice(0, limit)
        expect(view.rows, `step ${step}`).toEqual(wanted)
      }
      await view.unsubscribe()
    }
  })
})

describe('a subscription', () => {
  test('without rows tells changes only', async () => {
    add(1)
    const view = await subscribe({ rows: false })
    expect(view.rows).toEqual([])
    add(2)
    expect((await view.next('changes')).changes).toMatchObject([{ action: 'create', key: 2 }])
  })

  test.each([1, 99, 'x', [1]])('to a hidden, missing or misshapen key %j is an empty view', async (key) => {
    add(1, { open: false })
    expect((await subscribe({ key })).rows).toEqual([])
  })

  test('to a key shows its row when it comes to exist', async () => {
    const view = await subscribe({ key: 5 })
    add(5)
    await view.until((rows) => rows.length === 1)
  })

  test('in parts is shown whole', async () => {
    for (let id = 1; id <= 60; id++) add(id, { text: 'x'.repeat(20_000) })
    const view = await subscribe()
    const parts = view.log.filter((message) => message.type === 'snapshot')
    expect(parts.length).toBeGreaterThan(4)
    expect(parts.map(({ part, done }) => [part, done])).toEqual(parts.map((_part, i) => [i, i === parts.length - 1]))
    for (const part of parts) expect(JSON.stringify(part).length).toBeLessThan(262_144 + 1_000)
    expect(view.rows).toHaveLength(60)
  })

  test('ends, and then nothing comes', async () => {
    const view = await subscribe()
    await view.unsubscribe()
    add(1)
    await client.receiveNothing()
    client.send({ type: 'unsubscribe', id: 'nosuch' })
    expect(await client.next('end')).toEqual({ type: 'end', id: 'nosuch' })
    expect(api.stats()).toMatchObject({ subscriptions: 0, feeds: 0 })
  })

  test.each([
    [{ resource: 'nosuch' }, 'not_found'],
    [{ where: { nosuch: 1 } }, 'bad_request'],
    [{ order: [['nosuch', 'asc']] }, 'bad_request'],
    [{ limit: 10_001 }, 'limit_exceeded'],
    [{ were: {} }, 'bad_request'],
  ])('that asks for what is not there ends with its code: %j', async (query, code) => {
    await expect(subscribe(query)).rejects.toMatchObject({ code })
  })

  test('under an id in use is refused, and the first goes on', async () => {
    const view = await client.subscribe({ id: 'a', resource: 'notes' })
    client.send({ type: 'subscribe', id: 'a', resource: 'notes' })
    expect(await client.next('reply')).toMatchObject({ id: 'a', ok: false, error: { code: 'conflict' } })
    add(1)
    await view.until((rows) => rows.length === 1)
  })

  test('above the limit of a connection is refused', async () => {
    for (let i = 0; i < 100; i++) client.send({ type: 'subscribe', id: `s${i}`, resource: 'notes' })
    client.send({ type: 'subscribe', id: 'over', resource: 'notes' })
    expect(await client.next('end')).toMatchObject({ id: 'over', error: { code: 'limit_exceeded' } })
  })
})

test('a view of more rows than allowed is refused, also when it grows past the limit', async () => {
  await api.close()
  const notes = defineResource('notes', { store, permissions: [allowAny] })
  const small = createApi({ resources: [notes], changes: [store], clock, limits: { viewRows: 3 } })
  const viewer = await connect(small)
  for (let id = 1; id <= 3; id++) add(id)
  const view = await viewer.subscribe({ resource: 'notes' })
  expect(view.rows).toHaveLength(3)
  add(4)
  expect(await view.next('end')).toMatchObject({ error: { code: 'limit_exceeded' } })
  await expect(viewer.subscribe({ resource: 'notes' })).rejects.toMatchObject({ code: 'limit_exceeded' })
  expect((await viewer.subscribe({ resource: 'notes', limit: 2 })).keys).toEqual([1, 2])
})

describe('coming back', () => {
  test('brings only what was missed', async () => {
    for (let id = 1; id <= 20; id++) add(id)
    const view = await subscribe()
    await client.close()
    store.update(3, { text: 'new' })
    store.delete(4)
    add(21)
    store.update(5, { open: false })
    const again = await connect(api)
    const resumed = await again.resubscribe(view)
    const [snapshot, changes] = resumed.log
    expect(snapshot).toMatchObject({ type: 'snapshot', rows: [{ key: 3 }, { key: 21 }] })
    expect(changes).toMatchObject({
      type: 'changes',
      changes: [
        { action: 'delete', key: 4 },
        { action: 'delete', key: 5 },
      ],
    })
    expect(resumed.resets).toEqual([])
    expect(resumed.rows).toEqual(store.find().filter(({ open }) => open))
  })

  test('after the log has run out brings one reset and all', async () => {
    add(1)
    const view = await subscribe()
    await client.close()
    for (let i = 0; i < 301; i++) store.update(1, { text: `${i}` })
    const again = await connect(api)
    const resumed = await again.resubscribe(view)
    expect(resumed.resets).toEqual(['gap'])
    expect(resumed.rows).toMatchObject([{ text: '300' }])
  })

  test.each([
    ['of another query', { where: { topicId: 2 } }, (position: string) => position],
    ['from the future', {}, (position: string) => position.replace(/-\d+$/, '-99999')],
    ['of another epoch', {}, (position: string) => position.replace(/~.*/, '~forged-1')],
    ['that is none', {}, () => 'nonsense'],
    ['with a negative number', {}, (position: string) => position.replace(/-\d+$/, '--1')],
    ['with a number beyond all', {}, (position: string) => position.replace(/-\d+$/, '-18446744073709551616')],
  ])('with a position %s brings a reset', async (_name, query, forge) => {
    add(1)
    add(2, { topicId: 2 })
    add(3, { open: false })
    const view = await subscribe()
    const again = await connect(api)
    again.send({
      type: 'subscribe',
      id: 'r',
      resource: 'notes',
      ...query,
      since: forge(view.position ?? ''),
      have: [1, 3, 77],
    })
    expect(await again.next()).toMatchObject({ type: 'reset', id: 'r', reason: 'gap' })
    const snapshot = await again.next('snapshot')
    expect(snapshot.rows.map(({ key }) => key)).toEqual('where' in query ? [2] : [1, 2])
  })

  test('names nothing that the client has not named', async () => {
    add(1)
    const view = await subscribe()
    store.delete(1)
    add(2, { open: false })
    await client.close()
    const again = await connect(api)
    again.send({ type: 'subscribe', id: 'r', resource: 'notes', since: view.position ?? '', have: [] })
    expect(await again.next()).toMatchObject({ type: 'snapshot', rows: [] })
    await again.receiveNothing()
  })
})

test('a reply to a write comes after the writer’s own views contain it', async () => {
  const view = await subscribe()
  const reply = await client.request({
    resource: 'notes',
    action: 'create',
    data: { topicId: 1, text: 'x', open: true },
  })
  const order = client.messages.filter(({ type }) => type === 'changes' || type === 'reply').map(({ type }) => type)
  expect(order).toEqual(['changes', 'reply'])
  expect(view.rows).toHaveLength(1)
  const told = view.log.at(-1)
  expect(reply.ok && reply.tx).toBe(told?.type === 'changes' ? told.changes[0]?.tx : undefined)
})

test('whatever a client leaves behind is cleared', async () => {
  for (let i = 0; i < 5; i++) await subscribe({ where: { topicId: i } })
  client.send({ type: 'subscribe', id: 'late', resource: 'notes' })
  await client.close()
  expect(api.stats()).toEqual({ connections: 0, subscriptions: 0, feeds: 0, groups: 1, timers: 0 })
})

describe('a row that leaves the filter', () => {
  const seenBy = async (
    scope: Record<string, Json>,
    where: Record<string, Json>,
    patch: Partial<Note>,
  ): Promise<string | undefined> => {
    const changes = memoryStore<Note>({
      entity: 'Note',
      fields: { id: 'integer', topicId: 'integer', text: 'string', open: 'boolean' },
      rows: [{ id: 1, topicId: 1, text: 'a', open: true }],
    })
    const notes = defineResource('notes', { store: changes, permissions: [{ scope: () => scope }] })
    const process = createApi({ resources: [notes], changes: [changes], clock })
    const view = await (await connect(process)).subscribe({ resource: 'notes', where })
    changes.update(1, patch)
    const [change] = (await view.next('changes')).changes
    await process.close()
    return change?.action
  }
  test.each([
    ['for what one may not read is gone', { topicId: { in: [1, 2] } }, { topicId: 1 }, { topicId: 3 }, 'delete'],
    ['for what one may read, as far as that is certain', {}, { topicId: 1 }, { topicId: 3 }, 'leave'],
    [
      'and stays where the scope was decided',
      { topicId: { in: [1, 2] } },
      { topicId: 1, text: 'a' },
      { text: 'b' },
      'leave',
    ],
    ['with a scope that the filter says nothing of', { open: true }, { topicId: 1 }, { topicId: 3 }, 'leave'],
    ['with a scope that hides it', { open: true }, { topicId: 1 }, { topicId: 3, open: false }, 'delete'],
  ])('%s', async (_name, scope, where, patch, action) => {
    expect(await seenBy(scope, where, patch)).toBe(action)
  })
})
