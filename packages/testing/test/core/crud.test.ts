import {
  type Api,
  type Permission,
  RtapiError,
  createApi,
  defineResource,
  isAuthenticated,
  memoryStore,
  owns,
} from '@rtapi/core'
import { type TestClient, connect, fakeClock } from '@rtapi/testing'
import * as v from 'valibot'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { z } from 'zod'

type Note = {
  id: number
  topicId: number
  owner: string
  text: string
  rank: number | null
  secret: string
  version: number
}

const row = (note: Partial<Note>): Partial<Note> => ({
  topicId: 1,
  owner: 'ada',
  text: '',
  rank: null,
  secret: 's',
  ...note,
})

/** Ada and Bob see what is not on topic 9; nobody but root sees secrets. */
const readable: Permission<Note> = {
  scope: () => ({ topicId: { ne: 9 } }),
  fields: ({ session }) => (session.user?.id === 'root' ? true : ['id', 'topicId', 'owner', 'text', 'rank', 'version']),
}

function makeStore() {
  return memoryStore<Note>({
    entity: 'Note',
    fields: {
      id: 'integer',
      topicId: 'integer',
      owner: 'string',
      text: 'string',
      rank: { type: 'integer', nullable: true },
      secret: 'string',
      version: 'integer',
    },
    version: 'version',
    unique: [['text', 'topicId']],
  })
}

let store: ReturnType<typeof makeStore>
let api: Api
let ada: TestClient
let bob: TestClient
const reports: unknown[] = []

beforeEach(async () => {
  store = makeStore()
  reports.length = 0
  const notes = defineResource('notes', {
    store,
    version: 'version',
    params: ['topicId'],
    lookups: {
      ids: { field: 'id', operator: 'in' },
      textStart: { field: 'text', operator: 'startsWith', ignoreCase: true },
    },
    input: {
      create: z.object({ topicId: z.number().int(), text: z.string().max(20), rank: z.number().int().nullish() }),
      update: v.partial(
        v.object({ text: v.pipe(v.string(), v.maxLength(20)), rank: v.nullable(v.number()), topicId: v.number() }),
      ),
    },
    permissions: [isAuthenticated, readable, owns<Note>('owner')],
    create: ({ session }, data) => store.create({ secret: 'x', ...data, owner: String(session.user?.id) }),
    ownActions: {
      shout: {
        record: true,
        input: z.object({ times: z.number().int() }),
        run: (_context, { data, row: note }) => `${note?.text}${'!'.repeat((data as { times: number }).times)}`,
      },
      fail: {
        run: () => {
          throw new Error('internal detail')
        },
      },
    },
  })
  const plain = defineResource('plain', {
    store,
    permissions: [isAuthenticated],
    input: { update: ['text', 'rank'] },
    actions: ['list', 'get', 'update'],
  })
  const closed = defineResource('closed', { store, permissions: [] })
  api = createApi({
    resources: [notes, plain, closed],
    changes: [store],
    clock: fakeClock(),
    authenticate: ({ token }) => (token === undefined ? null : { user: { id: String(token) } }),
    report: (error) => reports.push(error),
  })
  ada = await connect(api, { token: 'ada' })
  bob = await connect(api, { token: 'bob' })
})

afterEach(() => api.close())

const ask = (client: TestClient, action: string, rest: object = {}) =>
  client.request({ resource: 'notes', action, ...rest })
const fill = (...notes: readonly Partial<Note>[]) => notes.forEach((note) => store.create(row(note)))

describe('list', () => {
  beforeEach(() => {
    for (let id = 1; id <= 25; id++) fill({ id, text: `t${id}`, rank: id % 4 === 0 ? null : id % 3 })
    fill({ id: 90, topicId: 9, text: 'hidden' })
  })

  test.each([
    [{ order: [] }],
    [{ order: [['rank', 'asc']] }],
    [
      {
        order: [
          ['rank', 'desc'],
          ['text', 'asc'],
        ],
      },
    ],
  ] as const)('pages by cursor show every row once, in order: %j', async ({ order }) => {
    const all = await ask(ada, 'list', { order, limit: 100 })
    const paged: unknown[] = []
    let after: string | undefined
    do {
      const page = await ask(ada, 'list', { order, limit: 4, ...(after === undefined ? {} : { after }) })
      if (!page.ok) throw new Error(page.error.message)
      paged.push(...(page.rows ?? []))
      after = page.next
    } while (after !== undefined)
    expect(all.ok && all.rows).toEqual(paged)
    expect(paged).toHaveLength(25)
  })

  test('rows that come and go between pages disturb no other', async () => {
    const first = await ask(ada, 'list', { limit: 10 })
    if (!first.ok || first.next === undefined) throw new Error('expected a first page')
    store.delete(5)
    store.delete(15)
    fill({ id: 26, text: 'late' })
    const second = await ask(ada, 'list', { limit: 100, after: first.next })
    expect(second.ok && second.rows?.map(({ key }) => key)).toEqual([
      11, 12, 13, 14, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26,
    ])
  })

  test.each([
    [{ where: { rank: { isNull: true } } }, 6],
    [{ where: { ids: [1, 2, 90] } }, 2],
    [{ where: { textStart: 'T1' } }, 11],
    [{ params: { topicId: 9 } }, 0],
    [{ where: { or: [{ id: 1 }, { and: [{ id: { gt: 1 } }, { id: { lte: 3 } }] }] } }, 3],
  ])('filters: %j', async (query, count) => {
    const reply = await ask(ada, 'list', query)
    expect(reply.ok && reply.rows).toHaveLength(count)
  })

  test.each([
    [{ where: { secret: 's' } }, 'bad_request'],
    [{ where: { nosuch: 's' } }, 'bad_request'],
    [{ where: { secret: { startsWith: 's' } } }, 'bad_request'],
    [{ where: { or: [{ secret: 's' }] } }, 'bad_request'],
    [{ order: [['secret', 'asc']] }, 'bad_request'],
    [{ fields: ['secret'] }, 'bad_request'],
    [{ limit: 1001 }, 'limit_exceeded'],
    [{ after: 'nonsense' }, 'bad_request'],
    [{ after: '%5B1%2C2%5D' }, 'bad_request'],
    [{ key: 1 }, 'bad_request'],
    [{ data: {} }, 'bad_request'],
    [{ params: { owner: 'ada' } }, 'bad_request'],
    [{ params: { topicId: { gt: 0 } } }, 'bad_request'],
  ])('refuses %j', async (query, code) => {
    expect(await ask(ada, 'list', query)).toMatchObject({ ok: false, error: { code } })
  })

  test('a hidden field and one that does not exist are refused alike', async () => {
    const say = async (field: string) => {
      const replies = [
        await ask(ada, 'list', { where: { [field]: 1 } }),
        await ask(ada, 'list', { order: [[field, 'asc']] }),
        await ask(ada, 'list', { fields: [field] }),
      ]
      return JSON.stringify(replies.map((reply) => !reply.ok && reply.error)).replaceAll(field, 'FIELD')
    }
    expect(await say('secret')).toBe(await say('nosuch'))
  })
})

describe('hidden and missing', () => {
  test.each(['get', 'update', 'delete', 'shout'])('look the same to %s', async (action) => {
    fill({ id: 90, topicId: 9 })
    const data = action === 'update' ? { data: { text: 'x' } } : action === 'shout' ? { data: { times: 1 } } : {}
    const replies = [await ask(ada, action, { key: 90, ...data }), await ask(ada, action, { key: 91, ...data })]
    const [hidden, missing] = replies.map((reply) => JSON.stringify({ ...reply, id: '' }))
    expect(hidden).toBe(missing)
    expect(replies[0]).toMatchObject({ ok: false, error: { code: 'not_found' } })
  })

  test('a resource on which one may do nothing looks like none', async () => {
    const say = async (resource: string) =>
      JSON.stringify({ ...(await ada.request({ resource, action: 'list' })), id: '' }).replaceAll(resource, 'R')
    expect(await say('closed')).toBe(await say('nosuch'))
    const anonymous = await connect(api)
    expect(await anonymous.request({ resource: 'notes', action: 'list' })).toMatchObject({
      error: { code: 'not_found' },
    })
  })

  test('a key of another shape is no record', async () => {
    fill({ id: 1 })
    for (const key of ['1', [1], 1.5, 2 ** 40])
      expect(await ask(ada, 'get', { key })).toMatchObject({ error: { code: 'not_found' } })
  })
})

describe('writes', () => {
  test('a create answers the row as this session sees it', async () => {
    const reply = await ask(ada, 'create', { params: { topicId: 3 }, data: { text: 'hi' } })
    expect(reply).toMatchObject({
      ok: true,
      key: 1,
      version: 1,
      data: { id: 1, topicId: 3, owner: 'ada', text: 'hi', rank: null, version: 1 },
    })
    expect(JSON.stringify(reply)).not.toContain('secret')
    expect(await ask(ada, 'create', { data: { topicId: 9, text: 'unseen' } })).toEqual({
      type: 'reply',
      id: expect.any(String) as string,
      ok: true,
      key: 2,
      tx: expect.any(String) as string,
    })
  })

  test.each([
    ['create', { data: { topicId: 1, text: 'x'.repeat(21) } }, { code: 'invalid', details: [{ path: ['text'] }] }],
    [
      'create',
      { data: { topicId: 1, text: 'x', owner: 'bob' } },
      { code: 'bad_request', message: "unknown field 'owner' in data" },
    ],
    [
      'create',
      { data: { topicId: 1, text: 'x', nosuch: 1 } },
      { code: 'bad_request', message: "unknown field 'nosuch' in data" },
    ],
    ['create', { data: 'text' }, { code: 'bad_request' }],
    ['create', {}, { code: 'bad_request' }],
    ['create', { params: { topicId: 2 }, data: { topicId: 1, text: 'x' } }, { code: 'bad_request' }],
    ['update', { key: 1, data: { version: 7 } }, { code: 'bad_request' }],
    ['update', { key: 1, data: { text: 5 } }, { code: 'invalid' }],
    ['update', { data: { text: 'x' } }, { code: 'bad_request' }],
    [
      'update',
      { key: 1, data: { text: 'x' }, ifVersion: 7 },
      { code: 'conflict', details: [{ path: ['version'], message: 'the version is 1' }] },
    ],
    ['shout', { key: 1, data: { times: 'many' } }, { code: 'invalid' }],
    ['fail', {}, { code: 'internal', message: 'The server failed.' }],
    ['nosuch', {}, { code: 'unsupported' }],
    ['subscribe', {}, { code: 'unsupported' }],
    ['toString', {}, { code: 'unsupported' }],
  ])('%s refuses %j', async (action, rest, error) => {
    fill({ id: 1, text: 'first' })
    expect(await ask(ada, action, rest)).toMatchObject({ ok: false, error })
    expect(store.find()).toHaveLength(1)
  })

  test('a broken uniqueness names no value', async () => {
    fill({ id: 1, text: 'precious' })
    const reply = await ask(ada, 'create', { data: { topicId: 1, text: 'precious' } })
    expect(reply).toMatchObject({ ok: false, error: { code: 'conflict' } })
    expect(JSON.stringify(reply)).not.toContain('precious')
  })

  test('an update replaces the fields it names', async () => {
    fill({ id: 1, text: 'a', rank: 4 })
    expect(await ask(ada, 'update', { key: 1, data: { rank: null }, ifVersion: 1 })).toMatchObject({
      ok: true,
      data: { text: 'a', rank: null },
      version: 2,
    })
    expect(await ask(ada, 'update', { key: 1, data: { rank: 1 }, ifVersion: 1 })).toMatchObject({
      ok: false,
      error: { code: 'conflict' },
    })
  })

  test('who may read but not write is forbidden', async () => {
    fill({ id: 1 })
    for (const [action, rest] of [
      ['update', { data: { text: 'x' } }],
      ['delete', {}],
      ['shout', { data: { times: 1 } }],
    ] as const) {
      expect(await ask(bob, action, { key: 1, ...rest })).toMatchObject({ ok: false, error: { code: 'forbidden' } })
    }
    expect(await ask(ada, 'shout', { key: 1, data: { times: 2 } })).toMatchObject({ ok: true, data: '!!' })
    expect(await ask(ada, 'delete', { key: 1 })).toMatchObject({ ok: true, key: 1 })
    expect(await ask(ada, 'delete', { key: 1 })).toMatchObject({ ok: false, error: { code: 'not_found' } })
  })

  test('field lists check values by the types of the store', async () => {
    fill({ id: 1, text: 'a' })
    const update = (data: object) => ada.request({ resource: 'plain', action: 'update', key: 1, data: data as never })
    expect(await update({ rank: 'x' })).toMatchObject({ error: { code: 'invalid', details: [{ path: ['rank'] }] } })
    expect(await update({ text: null })).toMatchObject({ error: { code: 'invalid' } })
    expect(await update({ owner: 'bob' })).toMatchObject({ error: { code: 'bad_request' } })
    expect(await update({ rank: 3 })).toMatchObject({ ok: true, data: { rank: 3 } })
    expect(await ada.request({ resource: 'plain', action: 'delete', key: 1 })).toMatchObject({
      error: { code: 'unsupported' },
    })
  })

  test('writes run in order, and reads beside them', async () => {
    fill({ id: 1, text: 'a' })
    ada.send([
      { type: 'request', id: 'w1', resource: 'notes', action: 'update', key: 1, data: { text: 'b' } },
      { type: 'request', id: 'w2', resource: 'notes', action: 'update', key: 1, data: { text: 'c' } },
      { type: 'request', id: 'w1', resource: 'notes', action: 'update', key: 1, data: { text: 'd' } },
    ])
    // Without an id: the request that has it is still to be answered.
    expect(await ada.next('reply')).toMatchObject({ ok: false, error: { code: 'conflict' } })
    expect(await ada.next('reply')).toMatchObject({ id: 'w1', ok: true, data: { text: 'b' } })
    expect(await ada.next('reply')).toMatchObject({ id: 'w2', ok: true, data: { text: 'c' } })
  })
})

test('describe tells what this session may do and see', async () => {
  const reply = await ask(ada, 'describe')
  expect(reply.ok && reply.data).toMatchObject({
    resource: 'notes',
    key: ['id'],
    version: 'version',
    fields: { rank: { type: 'integer', nullable: true, sortable: true } },
    lookups: { ids: { field: 'id', operator: 'in' } },
    params: ['topicId'],
    actions: expect.arrayContaining(['list', 'create', 'shout']) as unknown,
  })
  expect(JSON.stringify(reply)).not.toContain('secret')
})

test('a write is judged on the record that is written', async () => {
  fill({ id: 1, owner: 'ada' })
  let judged = 0
  const racing = createApi({
    clock: fakeClock(),
    resources: [
      defineResource('notes', {
        store,
        input: { update: ['text'] },
        permissions: [
          {
            allowsRecord(_context, note) {
              const allowed = note.owner === 'ada'
              // While the first judgement is made, the record passes to somebody else.
              if (judged++ === 0) store.update(1, { owner: 'bob' })
              return allowed
            },
          },
        ],
      }),
    ],
  })
  const client = await connect(racing)
  expect(await client.request({ resource: 'notes', action: 'update', key: 1, data: { text: 'mine' } })).toMatchObject({
    ok: false,
    error: { code: 'forbidden' },
  })
  expect(store.read([1])).toMatchObject([{ owner: 'bob', text: '' }])
  await racing.close()
})

test('an error of the application reaches the operator, not the client', async () => {
  expect(await ask(ada, 'fail')).toMatchObject({
    ok: false,
    error: { code: 'internal', message: 'The server failed.', retryable: true },
  })
  expect(reports).toEqual([new Error('internal detail')])
  expect(ada.received).not.toContain('internal detail')
  expect(RtapiError).toBeDefined()
})
