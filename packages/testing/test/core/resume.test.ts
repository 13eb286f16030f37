import {
  type Api,
  type Key,
  type MemoryStore,
  createApi,
  defineResource,
  groupBy,
  memoryBus,
  memoryStore,
} from '@rtapi/core'
import { type FakeClock, type TestClient, type TestView, connect, fakeClock } from '@rtapi/testing'
import { beforeEach, describe, expect, test } from 'vitest'

type Note = { id: number; topicId: number; owner: string }

let clock: FakeClock
let notes: MemoryStore<Note>
/** Two processes over one log; the first announces the changes. */
let apis: readonly [Api, Api]
let broken: boolean
let hidden: Set<number>
const reports: string[] = []

beforeEach(() => {
  clock = fakeClock()
  broken = false
  hidden = new Set()
  reports.length = 0
  notes = memoryStore<Note>({
    entity: 'Note',
    fields: { id: 'integer', topicId: 'integer', owner: 'string' },
    rows: Array.from({ length: 6 }, (_, i) => ({ id: i + 1, topicId: i % 2, owner: i < 3 ? 'ada' : 'bob' })),
  })
  const bus = memoryBus({ clock })
  const open = (announces: boolean): Api => {
    const layer = bus.layer()
    const resource = defineResource('notes', {
      store: notes,
      groups: groupBy('topicId'),
      permissions: [
        {
          scope: ({ session }) => ({
            and: [
              { id: { nin: [...hidden] } },
              session.user?.id === 'root' ? {} : { owner: { in: ['shared', String(session.user?.id)] } },
            ],
          }),
        },
      ],
    })
    return createApi({
      resources: [resource],
      changes: announces ? [notes] : [],
      clock,
      authenticate: ({ token }) => ({ user: { id: String(token) } }),
      layer: {
        open: (events) => layer.open(events),
        join: (group) => layer.join(group),
        leave: (group) => layer.leave(group),
        publish: (group, entry) => layer.publish(group, entry),
        history: (group, since) =>
          broken ? Promise.reject(new Error('the log is away')) : layer.history(group, since),
        close: () => layer.close(),
      },
      report: (_error, { during }) => reports.push(during),
    })
  }
  apis = [open(true), open(false)]
})

const as = (user: string, api: Api = apis[0]): Promise<TestClient> => connect(api, { token: user })
const subscribe = (client: TestClient, query: object = {}): Promise<TestView> =>
  client.subscribe({ resource: 'notes', ...query })
/** Subscribes, and leaves while others keep the group alive. */
async function leave(user: string, query: object = {}): Promise<TestView> {
  await subscribe(await as('root'), query)
  const client = await as(user)
  const view = await subscribe(client, query)
  await client.close()
  return view
}
const first = (view: TestView) => view.log[0]
const keysOf = (view: TestView): readonly Key[] => {
  const snapshot = first(view)
  return snapshot?.type === 'snapshot' ? snapshot.rows.map(({ key }) => key) : []
}

describe('who comes back', () => {
  test.each([
    ['to all', {}],
    ['to one group', { where: { topicId: 1 } }],
    ['to several groups', { where: { topicId: { in: [0, 1] } } }],
    ['to a window', { order: [['id', 'desc']], limit: 4 }],
  ])('%s, on another process, is sent only what was missed', async (_name, query) => {
    await subscribe(await as('root', apis[1]), query)
    const view = await leave('root', query)
    notes.delete(5)
    notes.update(2, { owner: 'shared' })
    notes.create({ id: 7, topicId: 1, owner: 'bob' })
    const again = await as('root', apis[1])
    const resumed = await again.resubscribe(view)
    const fresh = await subscribe(await as('root'), query)
    expect(resumed.resets).toEqual([])
    expect(resumed.rows).toEqual(fresh.rows)
    expect(keysOf(resumed)).not.toContain(1)
    notes.update(7, { owner: 'ada' })
    await resumed.until((rows) => rows.some(({ id, owner }) => id === 7 && owner === 'ada'))
  })

  test('finds gone what may no longer be read, in the frame of the last part', async () => {
    const view = await leave('ada')
    notes.update(1, { owner: 'bob' })
    notes.update(4, { owner: 'ada' })
    const again = await as('ada')
    const before = again.frames.length
    const resumed = await again.resubscribe(view)
    expect(resumed.keys).toEqual([2, 3, 4])
    expect(again.frames.length - before).toBe(1)
    expect(again.received).not.toContain('bob')
  })

  test('under another scope starts over', async () => {
    const view = await leave('ada')
    hidden.add(1)
    const resumed = await (await as('ada')).resubscribe(view)
    expect(resumed.resets).toEqual(['gap'])
    expect(resumed.keys).toEqual([2, 3])
  })

  test('with the position of somebody else starts over, and sees what is their own', async () => {
    const view = await leave('ada')
    notes.update(1, { topicId: 1 })
    const resumed = await (await as('bob')).resubscribe(view)
    expect(resumed.resets).toEqual(['gap'])
    expect(resumed.keys).toEqual([4, 5, 6])
  })

  test('after a change without keys starts over', async () => {
    const view = await leave('root')
    await notes.transaction((inner) => {
      for (let i = 0; i < 1_001; i++) inner.update(1 + (i % 6), { topicId: i % 2 })
      for (let i = 0; i < 1_001; i++) inner.create({ id: 100 + i, topicId: 0, owner: 'x' })
    })
    const resumed = await (await as('root')).resubscribe(view)
    expect(resumed.resets).toEqual(['gap'])
    expect(resumed.rows).toHaveLength(1_007)
  })

  test('while the log cannot be read starts over, and whoever waits with them notices nothing', async () => {
    const view = await leave('root')
    broken = true
    const again = await as('root')
    const other = await as('root')
    other.send({ type: 'subscribe', id: 'other', resource: 'notes' })
    const resumed = await again.resubscribe(view)
    expect(resumed.resets).toEqual(['gap'])
    expect(resumed.rows).toHaveLength(6)
    expect(await other.next()).toMatchObject({ type: 'snapshot', id: 'other' })
    expect(reports).toEqual(['layer.history'])
  })
})

describe('what a client says that it has', () => {
  const resume = async (view: TestView, have: readonly Key[] | undefined) => {
    const client = await as('root')
    client.send({
      type: 'subscribe',
      id: 'r',
      resource: 'notes',
      since: view.position ?? '',
      ...(have === undefined ? {} : { have }),
    })
    await clock.settle()
    return client
  }

  test('is told once to be forgotten, however often it is named', async () => {
    const client = await resume(await leave('root'), [1, 77, 77, 'x', 77, [1, 2], 1])
    expect(await client.next('snapshot')).toMatchObject({ rows: [2, 3, 4, 5, 6].map((key) => ({ key })) })
    expect((await client.next('changes')).changes).toEqual([
      { action: 'delete', key: 77 },
      { action: 'delete', key: 'x' },
      { action: 'delete', key: [1, 2] },
    ])
  })

  test('that is left out brings all', async () => {
    const client = await resume(await leave('root'), undefined)
    expect(await client.next()).toMatchObject({ type: 'reset', reason: 'gap' })
    expect((await client.next('snapshot')).rows).toHaveLength(6)
  })

  test('may be a thousand keys, and not one more', async () => {
    const view = await leave('root')
    const keys = Array.from({ length: 1_001 }, (_, i) => i + 1)
    const taken = await resume(view, keys.slice(0, 1_000))
    expect((await taken.next('snapshot')).rows).toEqual([])
    expect((await taken.next('changes')).changes).toHaveLength(994)
    const refused = await resume(view, keys)
    expect(await refused.next('end')).toMatchObject({ id: 'r', error: { code: 'bad_request' } })
  })

  test('is believed only of what has not changed, also while the rows are read', async () => {
    const view = await leave('root')
    notes.update(3, { owner: 'new' })
    const client = await as('root')
    client.send({ type: 'subscribe', id: 'r', resource: 'notes', since: view.position ?? '', have: [1, 2, 3, 4, 5, 6] })
    notes.update(4, { owner: 'newer' })
    const { rows } = await client.next('snapshot')
    expect(rows).toMatchObject([
      { key: 3, data: { owner: 'new' } },
      { key: 4, data: { owner: 'newer' } },
    ])
    await client.receiveNothing()
  })
})

test('two who come back at once are each sent their own', async () => {
  const view = await leave('root')
  notes.update(1, { owner: 'changed' })
  notes.delete(2)
  const [one, two] = [await as('root'), await as('root')]
  one.send({ type: 'subscribe', id: 'r', resource: 'notes', since: view.position ?? '', have: [2, 3, 4, 5, 6] })
  two.send({ type: 'subscribe', id: 'r', resource: 'notes', since: view.position ?? '', have: [1, 5, 6] })
  expect((await one.next('snapshot')).rows.map(({ key }) => key)).toEqual([1])
  expect((await one.next('changes')).changes).toEqual([{ action: 'delete', key: 2 }])
  expect((await two.next('snapshot')).rows.map(({ key }) => key)).toEqual([1, 3, 4])
  await two.receiveNothing()
  notes.update(3, { owner: 'after' })
  for (const client of [one, two])
    expect((await client.next('changes')).changes).toMatchObject([{ action: 'update', key: 3 }])
})

test('one client that comes back twice to the same view has two whole views', async () => {
  const view = await leave('root')
  notes.delete(1)
  const client = await as('root')
  const [one, two] = [await client.resubscribe(view), await client.resubscribe(view)]
  const third = await subscribe(client)
  notes.create({ id: 9, topicId: 0, owner: 'x' })
  for (const shown of [one, two, third]) {
    await shown.until((rows) => rows.length === 6)
    expect(shown.rows).toEqual(notes.find())
  }
})
