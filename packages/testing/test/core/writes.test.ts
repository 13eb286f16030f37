import {
  type Api,
  type MemoryStore,
  type Permission,
  type ResourceOptions,
  type Row,
  allowAny,
  createApi,
  defineResource,
  memoryStore,
} from '@rtapi/core'
import { type FakeClock, type TestClient, connect, fakeClock } from '@rtapi/testing'
import { beforeEach, describe, expect, test } from 'vitest'
import { z } from 'zod'

type Note = { id: number; topicId: number; text: string; tags: { readonly [tag: string]: boolean } }

let clock: FakeClock
let store: MemoryStore<Note>
const reports: string[] = []

beforeEach(() => {
  clock = fakeClock()
  reports.length = 0
  store = memoryStore<Note>({
    entity: 'Note',
    fields: { id: 'integer', topicId: 'integer', text: 'string', tags: 'json' },
    rows: [{ id: 1, topicId: 1, text: 'a', tags: { red: true, big: true } }],
  })
})

type Draft = Parameters<typeof store.create>[0]
type Options = Partial<Omit<ResourceOptions<Note, Draft, Draft>, 'store'>>

/** An API with the resource `notes`, and `unseen` on which nothing is allowed. */
function open(options: Options = {}): Api {
  const notes = defineResource('notes', {
    store,
    permissions: [allowAny],
    input: { create: ['topicId', 'text', 'tags'], update: ['topicId', 'text', 'tags'] },
    ...options,
  })
  const unseen = defineResource('unseen', {
    store,
    permissions: [],
    input: { update: ['text'] },
    ownActions: { publish: { run: () => null } },
  })
  return createApi({
    resources: [notes, unseen],
    changes: [store],
    clock,
    report: (_error, { during }) => reports.push(during),
  })
}

const ask = (client: TestClient, action: string, rest: object = {}) =>
  client.request({ resource: 'notes', action, ...rest })
const note = (id: number) => store.read([id])[0]

describe('an override', () => {
  test.each([
    ['at once', (): null => null],
    ['later', async (): Promise<null> => null],
  ])('that finds no record %s writes nothing, and says that there is none', async (_name, none) => {
    let calls = 0
    const nothing = (): null | Promise<null> => {
      calls++
      return none()
    }
    const client = await connect(open({ update: nothing, delete: nothing }))
    expect(await ask(client, 'update', { key: 1, data: { text: 'b' } })).toMatchObject({ error: { code: 'not_found' } })
    expect(await ask(client, 'delete', { key: 1 })).toMatchObject({ error: { code: 'not_found' } })
    expect(calls).toBe(2)
    expect(note(1)?.text).toBe('a')
  })

  test('without an input takes any data, and rules are asked about its fields', async () => {
    const seen: unknown[] = []
    const permissions: readonly Permission<Note>[] = [{ allowsRecord: (_context, row) => (row.topicId ?? 1) === 1 }]
    const api = open({
      input: {},
      permissions,
      create: (_context, data: unknown) => {
        seen.push(data)
        return store.create({ topicId: 1, text: 'made', tags: {} })
      },
    })
    const client = await connect(api)
    for (const data of [undefined, 'a word', ['a', 'list'], { topicId: 1 }]) {
      expect(await ask(client, 'create', data === undefined ? {} : { data })).toMatchObject({ ok: true })
    }
    expect(await ask(client, 'create', { data: { topicId: 2 } })).toMatchObject({ error: { code: 'forbidden' } })
    expect(seen).toEqual([undefined, 'a word', ['a', 'list'], { topicId: 1 }])
  })
})

describe('an update', () => {
  test('replaces each field that it names as a whole, and leaves the others', async () => {
    const client = await connect(open())
    expect(await ask(client, 'update', { key: 1, data: { tags: { blue: true } } })).toMatchObject({ ok: true })
    expect(note(1)).toEqual({ id: 1, topicId: 1, text: 'a', tags: { blue: true } })
  })

  test('is judged anew when what the rule has read changes under it, and passes over what it has not', async () => {
    let judged = 0
    const api = open({
      permissions: [
        {
          allowsRecord(_context, row) {
            const allowed = (row.topicId ?? 0) < 10
            judged++
            if (judged === 1) store.update(1, { topicId: 2 })
            if (judged === 3) store.update(1, { text: 'by another' })
            return allowed
          },
        },
      ],
    })
    const client = await connect(api)
    expect(await ask(client, 'update', { key: 1, data: { tags: {} } })).toMatchObject({ ok: true })
    // Once as it is and once as it becomes, and the same again.
    expect(judged).toBe(4)
    expect(note(1)).toEqual({ id: 1, topicId: 2, text: 'by another', tags: {} })
  })

  test('gives up when the record changes again and again', async () => {
    let turns = 0
    const api = open({
      permissions: [
        {
          allowsRecord(_context, row) {
            const allowed = row.topicId !== -1
            store.update(1, { topicId: ++turns })
            return allowed
          },
        },
      ],
    })
    const client = await connect(api)
    expect(await ask(client, 'update', { key: 1, data: { text: 'b' } })).toMatchObject({ error: { code: 'conflict' } })
    expect(note(1)?.text).toBe('a')
  })
})

describe('the row in the reply', () => {
  test('has the fields that were asked for', async () => {
    const client = await connect(open())
    expect(await ask(client, 'update', { key: 1, data: { text: 'b' }, fields: ['text'] })).toMatchObject({
      ok: true,
      data: { text: 'b' },
    })
  })

  test.each(['create', 'update'])(
    'asked for with a field that is none refuses the %s before it is done',
    async (action) => {
      const api = open({ fields: ['id', 'text'] })
      const client = await connect(api)
      const key = action === 'update' ? { key: 1 } : {}
      const data = action === 'update' ? { text: 'b' } : { topicId: 1, text: 'b', tags: {} }
      const refused = await Promise.all(
        ['tags', 'nosuch'].map((field) => ask(client, action, { id: field, ...key, data, fields: [field] })),
      )
      expect(refused[0]).toMatchObject({ error: { code: 'bad_request', message: "unknown field 'tags' in fields" } })
      expect(JSON.stringify(refused[0]).replaceAll('tags', 'nosuch')).toBe(JSON.stringify(refused[1]))
      expect(store.find()).toHaveLength(1)
      expect(note(1)?.text).toBe('a')
    },
  )

  test('is left out when the rule about it fails: the write has been done all the same', async () => {
    let broken = false
    const api = open({
      permissions: [
        {
          scope({ action }) {
            if (broken && action === 'get') throw new Error('the rule is broken')
            return true
          },
        },
      ],
      create(_context, data) {
        broken = true
        return store.create(data)
      },
    })
    const client = await connect(api)
    const reply = await ask(client, 'create', { data: { topicId: 1, text: 'b', tags: {} } })
    expect(reply).toMatchObject({ ok: true, key: 2 })
    expect(reply).not.toHaveProperty('data')
    expect(reports).toEqual(['permission.scope'])
  })
})

describe('an action of its own', () => {
  const ownActions: Options['ownActions'] = {
    plain: { run: () => 'done' },
    greet: { input: z.object({ name: z.string() }), run: (_context, { data }) => ({ hello: data as Row }) },
    nothing: { run: () => undefined as unknown as null },
  }

  test.each([
    ['plain', {}, { ok: true, data: 'done' }],
    ['plain', { data: { typo: 1 } }, { ok: false, error: { code: 'bad_request' } }],
    ['plain', { where: {} }, { ok: false, error: { code: 'bad_request' } }],
    ['greet', { data: { name: 'you' } }, { ok: true, data: { hello: { name: 'you' } } }],
    ['greet', {}, { ok: false, error: { code: 'invalid' } }],
    ['nothing', {}, { ok: true }],
  ])('%s %j', async (action, rest, reply) => {
    const client = await connect(open({ ownActions }))
    expect(await ask(client, action, rest)).toMatchObject(reply)
    // Writes run one after the other: the next one shows that the chain has not ended.
    expect(await ask(client, 'plain')).toMatchObject({ ok: true })
  })
})

test('a validator that never ends ends its request, and no other', async () => {
  const never = {
    '~standard': { version: 1, vendor: 'test', validate: () => new Promise<never>(() => undefined) },
  } as const
  const client = await connect(
    open({ input: { create: never, update: ['text'] }, ownActions: { wait: { input: never, run: () => null } } }),
  )
  client.send([
    { type: 'request', id: 'create', resource: 'notes', action: 'create', data: { text: 'x' } },
    { type: 'request', id: 'wait', resource: 'notes', action: 'wait', data: {} },
    { type: 'request', id: 'update', resource: 'notes', action: 'update', key: 1, data: { text: 'b' } },
  ])
  await clock.advance(10_000)
  expect(await client.reply('create')).toMatchObject({ ok: false, error: { code: 'timeout' } })
  expect(await client.reply('wait')).toMatchObject({ ok: false, error: { code: 'timeout' } })
  expect(await client.reply('update')).toMatchObject({ ok: true })
})

describe('a resource on which a session may do nothing', () => {
  test.each([
    ['list', {}],
    ['list', { data: {} }],
    ['get', {}],
    ['get', { key: 1, idempotencyKey: 'x' }],
    ['update', { key: 1, data: { text: 'x' }, where: {} }],
    ['create', {}],
    ['nosuch', {}],
    ['publish', { fields: ['id'] }],
    ['describe', { key: 1 }],
  ])('looks like none whatever is asked of it: %s %j', async (action, rest) => {
    const client = await connect(open())
    const replies = await Promise.all(
      ['unseen', 'nosuch'].map((resource) => client.request({ id: resource, resource, action, ...rest })),
    )
    const [unseen, none] = replies.map((reply) => JSON.stringify(reply))
    expect(unseen?.replaceAll('unseen', 'nosuch')).toBe(none)
    expect(replies[0]).toMatchObject({ error: { code: 'not_found' } })
  })

  test('but for one action of its own can be seen', async () => {
    const client = await connect(
      open({
        permissions: [{ allows: ({ action }) => action === 'publish' }],
        ownActions: { publish: { run: () => 'published' } },
      }),
    )
    expect(await ask(client, 'publish')).toMatchObject({ ok: true, data: 'published' })
    expect(await ask(client, 'list')).toMatchObject({ error: { code: 'unauthenticated' } })
  })
})

test.each([
  ['bigint', '12', ['abc', '1.5', '', '1e3', 12, '9223372036854775808']],
  ['date', '2026-01-01T00:00:00.000Z', ['abc', '2026-13-01', 5]],
  ['decimal', '1.5', ['abc', '1.5.5', 1.5]],
  ['integer', 12, ['12', 1.5]],
  ['string', 'a', [1, 'b']],
] as const)('a key of type %s that is none is no record', async (type, key, others) => {
  const keyed = memoryStore({ entity: 'Keyed', fields: { id: type }, rows: [{ id: key }] })
  const resource = defineResource('keyed', { store: keyed, permissions: [allowAny], input: { update: [] } })
  const api = createApi({
    resources: [resource],
    changes: [keyed],
    clock,
    report: (_error, { during }) => reports.push(during),
  })
  const client = await connect(api)
  expect(await client.request({ resource: 'keyed', action: 'get', key })).toMatchObject({ ok: true, key })
  expect((await client.subscribe({ resource: 'keyed', key })).rows).toHaveLength(1)
  for (const other of others) {
    for (const action of ['get', 'delete']) {
      const reply = await client.request({ resource: 'keyed', action, key: other })
      // A number or text that cannot travel is refused by the protocol itself.
      if (!reply.ok && reply.error.code === 'bad_request') continue
      expect(reply, `${action} ${String(other)}`).toMatchObject({ error: { code: 'not_found' } })
      expect((await client.subscribe({ resource: 'keyed', key: other })).rows).toEqual([])
    }
  }
  expect(reports).toEqual([])
})
