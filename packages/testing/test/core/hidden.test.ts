import {
  type Api,
  type MemoryStore,
  type Permission,
  type ReplyMessage,
  createApi,
  defineResource,
  memoryStore,
} from '@rtapi/core'
import { type FakeClock, type TestClient, connect, fakeClock } from '@rtapi/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Gated, gated } from './gated.ts'

type Note = { id: number; owner: string; open: boolean; text: string; secret: string }
type Rule = Permission<Note>

let clock: FakeClock
let notes: MemoryStore<Note>
let behind: Gated<Note>
let api: Api | undefined
const reports: string[] = []

beforeEach(() => {
  clock = fakeClock()
  reports.length = 0
  notes = memoryStore<Note>({
    entity: 'Note',
    fields: { id: 'integer', owner: 'string', open: 'boolean', text: 'string', secret: 'string' },
    rows: [
      { id: 1, owner: 'ada', open: true, text: 'first', secret: 'hush 1' },
      { id: 2, owner: 'bob', open: false, text: 'hidden words', secret: 'hush 2' },
    ],
  })
})

afterEach(async () => {
  await api?.close()
  expect(clock.timers).toBe(0)
})

async function open(user: string, ...permissions: readonly Rule[]): Promise<TestClient> {
  behind = gated(notes)
  api = createApi({
    resources: [
      defineResource('notes', {
        store: behind.store,
        permissions,
        input: { create: ['owner', 'open', 'text', 'secret'], update: ['open', 'text', 'secret'] },
        ownActions: { publish: { record: true, run: (_context, { row }) => row?.text ?? null } },
        dependsOn: [{ entity: 'Grant' }],
      }),
    ],
    changes: [notes],
    clock,
    authenticate: ({ token }) => ({ user: { id: String(token) } }),
    report: (_error, { during }) => reports.push(during),
  })
  return connect(api, { token: user })
}

const onlyOpen: Rule = { scope: () => ({ open: true }) }
const mask: Rule = { fields: ({ session }) => (session.user?.id === 'root' ? true : ['id', 'owner', 'open', 'text']) }

const requests: readonly (readonly [string, object])[] = [
  ['get', {}],
  ['get', { fields: ['text'] }],
  ['update', { data: { text: 'x' } }],
  ['update', { data: { text: 5 } }],
  ['update', { data: { nosuch: 1 } }],
  ['update', { data: { text: 'x' }, ifVersion: 3 }],
  ['delete', {}],
  ['delete', { ifVersion: 3 }],
  ['publish', {}],
]

describe('a record that one may not read', () => {
  test.each(requests)('is answered for as one that is not there: %s %j', async (action, rest) => {
    const client = await open('ada', onlyOpen, { allowsRecord: () => false })
    const answers = []
    for (const key of [2, 99]) {
      const { find, read } = behind.calls
      const reply = await client.request({ id: 'r', resource: 'notes', action, key, ...rest })
      // The same work, too: time must not tell.
      answers.push([JSON.stringify(reply), behind.calls.find - find, behind.calls.read - read])
    }
    expect(answers[0]).toEqual(answers[1])
    expect(answers[0]?.[0]).toContain('not_found')
  })

  test('is no row of a list, and no count of it', async () => {
    const client = await open('ada', onlyOpen)
    const reply = await client.request({
      resource: 'notes',
      action: 'list',
      where: { id: { in: [1, 2, 99] } },
      limit: 1,
    })
    expect(reply).toMatchObject({ ok: true, rows: [{ key: 1 }] })
    expect(reply).not.toHaveProperty('next')
  })

  test('is subscribed to as one that is not there', async () => {
    const client = await open('ada', onlyOpen)
    const told = []
    for (const [id, key] of [
      ['a', 2],
      ['b', 99],
    ] as const) {
      client.send({ type: 'subscribe', id, resource: 'notes', key })
      const { feed: _feed, position, ...snapshot } = await client.next('snapshot')
      told.push({ ...snapshot, id: '', position: position?.length })
    }
    expect(told[0]).toEqual(told[1])
    notes.update(2, { text: 'still hidden' })
    notes.update(2, { secret: 'hush 3' })
    await client.receiveNothing()
    notes.delete(2)
    await client.receiveNothing()
  })

  test('is heard of by nobody who has not had it', async () => {
    const client = await open('ada', onlyOpen)
    await client.subscribe({ resource: 'notes' })
    await client.subscribe({ resource: 'notes', where: { text: { startsWith: 'hidden' } } })
    await client.subscribe({ resource: 'notes', order: [['text', 'desc']], limit: 1 })
    notes.update(2, { text: 'hidden still' })
    notes.delete(2)
    notes.create({ id: 3, owner: 'bob', open: false, text: 'zzz', secret: 'S' })
    notes.delete(3)
    await client.receiveNothing()
  })

  test('any more leaves by its key alone', async () => {
    const client = await open('ada', onlyOpen)
    const view = await client.subscribe({ resource: 'notes' })
    notes.update(1, { open: false, text: 'not for ada' })
    expect((await view.next('changes')).changes).toMatchObject([{ action: 'delete', key: 1 }])
    expect(client.received).not.toContain('not for ada')
  })
})

describe('a record that one may read', () => {
  test.each([
    ['by the scope of the action', { scope: ({ action }) => action !== 'update' || { owner: 'bob' } }],
    ['by its judge', { allowsRecord: () => false }],
    ['as it would become', { allowsRecord: (_context, row) => row.text !== 'x' }],
  ] satisfies readonly [string, Rule][])('and not write is forbidden: %s', async (_name, rule) => {
    const client = await open('ada', onlyOpen, rule)
    const update = (key: number): Promise<ReplyMessage> =>
      client.request({ resource: 'notes', action: 'update', key, data: { text: 'x' } })
    expect(await update(1)).toMatchObject({ ok: false, error: { code: 'forbidden' } })
    expect(await update(2)).toMatchObject({ ok: false, error: { code: 'not_found' } })
    expect(notes.read([1])).toMatchObject([{ text: 'first' }])
  })

  test('and no record at all is looked at where the action is forbidden', async () => {
    const client = await open('ada', { allows: ({ action }) => action !== 'update' })
    for (const key of [1, 2, 99]) {
      const reply = await client.request({ resource: 'notes', action: 'update', key, data: { text: 'x' } })
      expect(reply).toMatchObject({ ok: false, error: { code: 'forbidden' } })
    }
    expect(behind.calls).toMatchObject({ find: 0, read: 0 })
  })
})

describe('a field that one may not read', () => {
  const secrets = /hush/

  test('is nowhere in what is sent', async () => {
    const client = await open('ada', mask)
    const view = await client.subscribe({ resource: 'notes' })
    notes.update(1, { text: 'changed', secret: 'hush 7' })
    notes.create({ id: 3, owner: 'ada', open: true, text: '', secret: 'hush 8' })
    await view.until((rows) => rows.length === 3)
    for (const [action, rest] of [
      ['list', {}],
      ['get', { key: 1 }],
      ['update', { key: 1, data: { text: 'y', secret: 'hush 9' } }],
      ['create', { data: { owner: 'ada', open: true, text: 'z', secret: 'hush 5' } }],
      ['describe', {}],
      ['delete', { key: 3 }],
    ] as const)
      expect(await client.request({ resource: 'notes', action, ...rest })).toMatchObject({ ok: true })
    expect(client.received).not.toMatch(secrets)
    expect(client.received).not.toContain('secret')
  })

  test('is no reason for a change', async () => {
    const client = await open('ada', mask)
    await client.subscribe({ resource: 'notes' })
    notes.update(1, { secret: 'hush 7' })
    await client.receiveNothing()
  })

  test('is shown to those who may, by the same change', async () => {
    const client = await open('ada', mask)
    const root = api === undefined ? client : await connect(api, { token: 'root' })
    const [masked, full] = [
      await client.subscribe({ resource: 'notes', key: 1 }),
      await root.subscribe({ resource: 'notes', key: 1 }),
    ]
    notes.update(1, { text: 'both', secret: 'hush 7' })
    expect((await masked.next('changes')).changes[0]?.data).toEqual({ id: 1, owner: 'ada', open: true, text: 'both' })
    expect((await full.next('changes')).changes[0]?.data).toMatchObject({ text: 'both', secret: 'hush 7' })
    expect(masked.feed).not.toBe(full.feed)
  })

  test.each([
    ['in a filter', (field: string) => ({ where: { [field]: 'hush 1' } })],
    ['deep in a filter', (field: string) => ({ where: { or: [{ id: 1 }, { and: [{ [field]: { gt: 'S' } }] }] } })],
    ['by an operator that is none', (field: string) => ({ where: { [field]: { nosuch: 1 } } })],
    ['in an order', (field: string) => ({ order: [[field, 'asc']] })],
    ['among the fields', (field: string) => ({ fields: ['id', field] })],
  ])('is refused as one that is not there: %s', async (_name, query) => {
    const client = await open('ada', mask)
    const say = async (field: string): Promise<string> => {
      const reply = await client.request({ id: 'r', resource: 'notes', action: 'list', ...(query(field) as object) })
      client.send({ type: 'subscribe', id: 's', resource: 'notes', ...(query(field) as object) })
      return JSON.stringify([reply, await client.next('end')]).replaceAll(field, 'FIELD')
    }
    const hidden = await say('secret')
    expect(hidden).toBe(await say('nosuch'))
    expect(hidden.match(/bad_request/g)).toHaveLength(2)
  })

  test('is not found by the cursor of a page', async () => {
    const client = await open('ada', mask)
    for (const after of [
      '["hush 1",1]',
      '[{"secret":"hush 1"}]',
      '["hush 1"]',
      '[1,1]',
      '[]',
      '[[1]]',
      'null',
      '"hush 1"',
      '[null]',
    ]) {
      const reply = await client.request({ resource: 'notes', action: 'list', after: encodeURIComponent(after) })
      if (after === '[null]') expect(reply).toMatchObject({ ok: true })
      else expect(reply, after).toMatchObject({ ok: false, error: { code: 'bad_request' } })
    }
    const root = api === undefined ? client : await connect(api, { token: 'root' })
    const page = await root.request({ resource: 'notes', action: 'list', order: [['secret', 'asc']], limit: 1 })
    const next = page.ok ? (page.next ?? '') : ''
    // The cursor of somebody who may sort by it is none for the orders of somebody who may not.
    const stolen = await client.request({ resource: 'notes', action: 'list', order: [['text', 'asc']], after: next })
    expect(stolen.ok && stolen.rows?.every(({ data }) => !('secret' in data))).toBe(true)
  })
})

describe('a rule that fails', () => {
  const failing: readonly (readonly [string, (rule: string) => Rule])[] = [
    [
      'by throwing',
      (rule) => ({
        [rule]: () => {
          throw new Error('no such table: grants')
        },
      }),
    ],
    ['by rejecting', (rule) => ({ [rule]: () => Promise.reject(new Error('no such table: grants')) })],
    ['by no answer', (rule) => ({ [rule]: () => new Promise(() => undefined) })],
    ['by nonsense', (rule) => ({ [rule]: () => ({ nosuch: 'no such table: grants' }) })],
  ]
  const cases = failing.flatMap(([how, make]) =>
    ['allows', 'scope', 'fields', 'allowsRecord'].map((rule) => ({ how, rule, make })),
  )

  test.each(cases)('$how in $rule shows and writes nothing', async ({ rule, make }) => {
    const client = await open('ada', make(rule))
    const before = notes.find()
    for (const [action, rest] of [
      ['list', {}],
      ['get', { key: 1 }],
      ['create', { data: { owner: 'ada', open: true, text: 't', secret: 'S' } }],
      ['update', { key: 1, data: { text: 'changed' } }],
      ['delete', { key: 1 }],
      ['publish', { key: 1 }],
      ['describe', {}],
    ] as const) {
      const isJudged = action !== 'list' && action !== 'get' && action !== 'describe'
      if (rule === 'allowsRecord' && !isJudged) continue
      client.send({ type: 'request', id: action, resource: 'notes', action, ...rest })
      await clock.advance(15_500)
      const reply = await client.reply(action)
      expect(reply.ok, action).toBe(false)
      // An `allows` that answers nonsense denies; what cannot be told denies, too, but may be asked again.
      const denied = ['unavailable', 'not_found', 'forbidden']
      expect(denied, action).toContain(reply.ok ? 'ok' : reply.error.code)
    }
    if (rule !== 'allowsRecord') {
      client.send({ type: 'subscribe', id: 's', resource: 'notes' })
      await clock.advance(15_500)
      expect((await client.next('end')).error).toBeDefined()
    }
    expect(notes.find()).toEqual(before)
    expect(client.received).not.toMatch(/first|hidden words|hush|grants/)
  })

  test.each(failing)('%s ends a view at once when it is asked anew, and shows nothing after it', async (_how, make) => {
    let broken = false
    const rule = make('scope')
    const client = await open('ada', { scope: (context) => !broken || (rule.scope?.(context) ?? true) })
    const view = await client.subscribe({ resource: 'notes' })
    broken = true
    await api?.sessions.refresh({ user: 'ada' })
    notes.update(1, { text: 'after' })
    await clock.advance(5_500)
    expect(view.end).toMatchObject({ error: { code: 'unavailable', retryable: true }, again: true })
    expect(view.resets).toEqual(['policy'])
    expect(client.received).not.toContain('after')
    broken = false
    expect((await client.subscribe({ resource: 'notes' })).rows).toHaveLength(2)
  })
})
