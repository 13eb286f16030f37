import { expect, expectTypeOf, test } from 'vitest'
import type { ChangeBatch } from '../src/change-source.ts'
import type { Filter } from '../src/filter.ts'
import type { MemoryStoreOptions } from '../src/memory-fields.ts'
import { type MemoryStore, memoryStore } from '../src/memory-store.ts'
import type { Store } from '../src/store.ts'

type Note = {
  readonly id: number
  readonly text: string
  readonly owner: string | null
  readonly tags: readonly string[] | null
}

const fields = {
  id: 'integer',
  text: 'string',
  owner: { type: 'string', nullable: true },
  tags: { type: 'json', nullable: true },
} as const

function setUp(options: Partial<MemoryStoreOptions<Note>> = {}): { store: MemoryStore<Note>; batches: ChangeBatch[] } {
  const store = memoryStore<Note>({ entity: 'notes', fields, ...options })
  const batches: ChangeBatch[] = []
  store.start((batch) => void batches.push(batch))
  return { store, batches }
}

const owned = (owner: string): Filter => ({ type: 'compare', field: 'owner', operator: 'eq', value: owner })

test('it is a store of its row type', () => {
  expectTypeOf<MemoryStore<Note>>().toExtend<Store<Note, Partial<Note>, Partial<Note>>>()
})

test('keys are counted from 1, or after the highest, and are not given out again', async () => {
  const { store } = setUp({ rows: [{ id: 7, text: 'seven' }] })
  expect(store.create({ text: 'a' }).row.id).toBe(8)
  store.delete(8)
  expect(store.create({ text: 'b' }).row.id).toBe(9)
  await expect(
    store.transaction((inner) => {
      expect(inner.create({ text: 'lost' }).row.id).toBe(10)
      throw new Error('rolled back')
    }),
  ).rejects.toThrow('rolled back')
  expect(store.create({ text: 'c' }).row.id).toBe(11)
  expect(memoryStore<Note>({ entity: 'notes', fields }).create({ text: 'first' }).row.id).toBe(1)
})

test('keys may be made by a function, or must be given', () => {
  type Named = { readonly id: string; readonly text: string }
  const named = { id: 'string', text: 'string' } as const
  let made = 0
  const making = memoryStore<Named>({ entity: 'named', fields: named, generate: () => `key ${++made}` })
  expect(making.create({ text: '' }).row.id).toBe('key 1')
  const given = memoryStore<Named>({ entity: 'named', fields: named })
  expect(() => given.create({ text: '' })).toThrow(/do not fit|does not fit/)
  expect(given.describe().fields['id']).toEqual({ type: 'string', nullable: false })
  expect(making.describe().fields['id']).toEqual({ type: 'string', nullable: false, optional: true })
})

test('a key may have several fields', () => {
  type Member = { readonly team: string; readonly user: number; readonly role: string }
  const members = memoryStore<Member>({
    entity: 'members',
    key: ['team', 'user'],
    fields: { team: 'string', user: 'integer', role: 'string' },
    rows: [{ team: 'a', user: 1, role: 'owner' }],
  })
  expect(
    members.read([
      ['a', 1],
      ['a', 2],
    ]),
  ).toEqual([{ team: 'a', user: 1, role: 'owner' }])
  members.create({ team: 'a', user: 2, role: 'guest' })
  expect(() => members.create({ team: 'a', user: 2, role: 'guest' })).toThrow(/taken/)
  expect(members.update(['a', 2], { role: 'owner' })?.row.role).toBe('owner')
  expect(members.delete(['a', 1])?.row.user).toBe(1)
  expect(members.find().map(({ user }) => user)).toEqual([2])
})

test('rows are frozen through and through, and nobody else holds a part of them', () => {
  const tags = ['x']
  const { store } = setUp()
  const { row } = store.create({ text: 'a', tags })
  tags.push('y')
  expect(row.tags).toEqual(['x'])
  expect(Object.isFrozen(row) && Object.isFrozen(row.tags)).toBe(true)
  expect(store.read([1])[0]).toBe(row)
})

test('defaults fill in what is not given, and null is given', () => {
  let made = 0
  const { store } = setUp({ defaults: { text: () => `text ${++made}`, owner: 'nobody' } })
  expect(store.create({}).row).toEqual({ id: 1, text: 'text 1', owner: 'nobody', tags: null })
  expect(store.create({ text: 'given', owner: null }).row).toEqual({ id: 2, text: 'given', owner: null, tags: null })
  expect(store.describe().fields['text']).toMatchObject({ optional: true })
})

test('the version grows with every write, also from one life of a record to the next', () => {
  type Versioned = { readonly id: number; readonly text: string; readonly version: number }
  const store = memoryStore<Versioned>({
    entity: 'versioned',
    fields: { id: 'integer', text: 'string', version: 'integer' },
    version: 'version',
    rows: [{ id: 5, text: 'old', version: 40 }],
  })
  const created = store.create({ id: 1, text: 'a' }).row.version
  const updated = store.update(1, { text: 'b' })?.row.version ?? 0
  store.delete(1)
  const again = store.create({ id: 1, text: 'a' }).row.version
  expect([created > 40, updated > created, again > updated]).toEqual([true, true, true])
  expect(store.update(1, { text: 'a' })?.row.version).toBe(again)
  expect(() => store.create({ text: 'c', version: 3 })).toThrow(/does not fit/)
  expect(() => store.update(1, { version: 1_000 })).toThrow(/does not fit/)
})

test('what does not fit is told field by field', () => {
  const { store, batches } = setUp({ rows: [{ text: 'a' }] })
  const detailsOf = (work: () => unknown): unknown => {
    try {
      work()
    } catch (error) {
      return error
    }
    return undefined
  }
  // As somebody would write it who has no types.
  const wrong = { text: 5, unknown: true, tags: new Date() } as unknown as Partial<Note>
  expect(detailsOf(() => store.create(wrong))).toMatchObject({
    code: 'invalid',
    details: [{ path: ['text'] }, { path: ['unknown'] }, { path: ['tags'] }],
  })
  expect(detailsOf(() => store.update(1, { id: 2 }))).toMatchObject({ code: 'invalid', details: [{ path: ['id'] }] })
  expect(batches).toEqual([])
})

test('a field that does not exist is refused in the options', () => {
  const options = { entity: 'notes', fields, key: 'nothing' } as unknown as MemoryStoreOptions<Note>
  expect(() => memoryStore(options)).toThrow(/no field 'nothing'/)
  expect(() => memoryStore<Note>({ entity: 'notes', fields, version: 'text' })).toThrow(/integer/)
  expect(() =>
    memoryStore<Note>({
      entity: 'notes',
      fields,
      rows: [
        { id: 1, text: '' },
        { id: 1, text: '' },
      ],
    }),
  ).toThrow()
})

test('a filter on the key finds the records of these keys among many', () => {
  const rows = Array.from({ length: 20_000 }, (_, i) => ({ id: i + 1, text: `${i}` }))
  const { store } = setUp({ rows })
  const key = (value: number): Filter => ({ type: 'compare', field: 'id', operator: 'eq', value })
  const where: Filter = {
    type: 'and',
    filters: [key(17), { type: 'compare', field: 'owner', operator: 'ne', value: 'ann' }],
  }
  expect(store.find({ where, order: [] }).map(({ id }) => id)).toEqual([17])
  const among: Filter = { type: 'compare', field: 'id', operator: 'in', value: [5, 3, 5, 99_999] }
  expect(store.find({ where: among, order: [['id', 'desc', 'integer']] }).map(({ id }) => id)).toEqual([5, 3])
})

test.each([0, 1, 7, 100, 5_000])('the first %i of many are those of the whole order', (limit) => {
  const rows = Array.from({ length: 2_000 }, (_, i) => ({ id: i + 1, text: `${(i * 7_919) % 613}` }))
  const { store } = setUp({ rows })
  const query = {
    where: { type: 'const', value: true },
    order: [
      ['text', 'desc', 'string'],
      ['id', 'asc', 'integer'],
    ],
  } as const
  expect(store.find({ ...query, limit })).toEqual(store.find(query).slice(0, limit))
})

test('a write is announced before it returns, with what the record was and is', () => {
  const { store, batches } = setUp({ rows: [{ text: 'a' }] })
  const { tx } = store.update(1, { text: 'b' }) ?? {}
  const before = { id: 1, text: 'a', owner: null, tags: null }
  const change = { type: 'change', entity: 'notes', key: 1, action: 'update', before, after: { ...before, text: 'b' } }
  expect(batches).toEqual([{ tx, changes: [change] }])
})

test('a transaction sees itself, and others see it when it is committed', async () => {
  const { store, batches } = setUp({ rows: [{ text: 'a' }, { text: 'b' }] })
  await store.transaction(async (inner) => {
    inner.update(1, { text: 'changed' })
    inner.delete(2)
    inner.create({ text: 'new' })
    expect(inner.find().map(({ text }) => text)).toEqual(['changed', 'new'])
    await Promise.resolve()
    expect(store.find().map(({ text }) => text)).toEqual(['a', 'b'])
    expect(batches).toEqual([])
  })
  expect(store.find().map(({ text }) => text)).toEqual(['changed', 'new'])
  expect(batches).toHaveLength(1)
})

test('a record that somebody else has written meanwhile makes the commit a conflict', async () => {
  const { store, batches } = setUp({ rows: [{ text: 'a' }, { text: 'b' }] })
  const late = store.transaction((inner) => {
    inner.update(1, { text: 'mine' })
    inner.update(2, { text: 'mine' })
    store.update(1, { text: 'theirs' })
  })
  await expect(late).rejects.toMatchObject({ code: 'conflict' })
  expect(store.find().map(({ text }) => text)).toEqual(['theirs', 'b'])
  expect(batches).toHaveLength(1)
})

test('a transaction that has ended takes no more writes', async () => {
  const { store } = setUp()
  const ended = await store.transaction((inner) => inner)
  expect(() => ended.create({ text: 'late' })).toThrow(/ended/)
  expect(store.find()).toEqual([])
})

test('unique values may change hands within a transaction', async () => {
  const { store } = setUp({
    unique: [['owner', 'text']],
    rows: [
      { text: 'x', owner: 'ann' },
      { text: 'y', owner: 'ann' },
    ],
  })
  await store.transaction((inner) => {
    inner.update(1, { text: 'y' })
    inner.update(2, { text: 'x' })
  })
  expect(store.find().map(({ text }) => text)).toEqual(['y', 'x'])
  expect(() => store.create({ text: 'x', owner: 'ann' })).toThrow(/taken/)
  store.create({ text: 'x', owner: null })
  store.create({ text: 'x', owner: null })
  expect(store.find()).toHaveLength(4)
})

test('changes are started once at a time, and not announced after stop', () => {
  const { store, batches } = setUp()
  expect(() => store.start(() => {})).toThrow(/already/)
  store.stop()
  store.create({ text: 'unheard' })
  expect(batches).toEqual([])
  store.start((batch) => void batches.push(batch))
  store.create({ text: 'heard' })
  expect(batches).toHaveLength(1)
})

test('a condition is looked at when the record is written', () => {
  const { store } = setUp({ rows: [{ text: 'a', owner: 'ann' }] })
  expect(store.update(1, { text: 'b' }, owned('bob'))).toBeNull()
  expect(store.delete(1, owned('bob'))).toBeNull()
  expect(store.update(1, { owner: 'bob' }, owned('ann'))?.row.owner).toBe('bob')
  expect(store.delete(1, owned('bob'))?.row.text).toBe('a')
})
