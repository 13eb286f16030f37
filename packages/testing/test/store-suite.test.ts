import {
  type Comparison,
  type Filter,
  type Json,
  type MemoryStore,
  type Query,
  type Row,
  RtapiError,
  type Store,
  compareRows,
  everything,
  matchesFilter,
  memoryStore,
} from '@rtapi/core'
import { type Thing, storeSuite, thingFields } from '@rtapi/testing'
import { expect, test } from 'vitest'
import { failuresOf } from './support/failures.ts'

type Mutation = (store: MemoryStore<Thing>) => Partial<Store>

const types = Object.fromEntries(Object.entries(thingFields).map(([name, { type }]) => [name, type]))

function failuresWith(mutate: Mutation): Promise<string[]> {
  const cases = storeSuite({
    seeds: [1],
    open() {
      const store = memoryStore<Thing>({ entity: 'things', fields: thingFields, unique: [['code']] })
      const right: Store = {
        entity: store.entity,
        describe: () => store.describe(),
        read: (keys) => store.read(keys),
        find: (query) => store.find(query),
        create: (data) => store.create(data),
        update: (key, patch, where) => store.update(key, patch, where),
        delete: (key, where) => store.delete(key, where),
      }
      return { store: { ...right, ...mutate(store) } }
    },
  })
  return failuresOf(cases)
}

/** A store whose filters mean something else. */
const finding =
  (matches: (where: Filter, row: Row) => boolean): Mutation =>
  (store) => ({
    find({ where, order, limit }) {
      const rows = store.find().filter((row) => matches(where, row))
      return rows.toSorted((a, b) => compareRows(order, a, b)).slice(0, limit)
    },
  })

/** Comparisons changed one by one. */
const comparing = (change: (comparison: Comparison) => Filter): Mutation =>
  finding((where, row) => matchesFilter(mapComparisons(where, change), types, row))

function mapComparisons(where: Filter, change: (comparison: Comparison) => Filter): Filter {
  if (where.type === 'compare') return change(where)
  return where.type === 'const' ? where : { ...where, filters: where.filters.map((one) => mapComparisons(one, change)) }
}

/** Text that is compared in another form, in filters and rows alike. */
const collating = (form: (text: string) => string): Mutation => {
  const of = <T>(value: T): T => (typeof value === 'string' ? (form(value) as T) : value)
  return finding((where, row) => {
    const formed = Object.fromEntries(
      Object.entries(row).map(([name, value]): [string, Json] => [name, types[name] === 'string' ? of(value) : value]),
    )
    const changed = mapComparisons(where, (comparison) => {
      if (types[comparison.field] !== 'string' || comparison.operator === 'isNull') return comparison
      const value = Array.isArray(comparison.value) ? comparison.value.map(of) : of(comparison.value)
      // The operator is the same, and so is the kind of its value.
      return { ...comparison, value } as Comparison
    })
    return matchesFilter(changed, types, formed)
  })
}

/** A store that orders otherwise. */
const ordering =
  (compare: (field: string, a: Json | undefined, b: Json | undefined) => number | undefined): Mutation =>
  (store) => ({
    find(query: Query) {
      const found: readonly Row[] = store.find({ ...query, limit: 1_000 })
      const rows = found.toSorted((a, b) => {
        for (const [field, direction] of query.order) {
          const result = compare(field, a[field], b[field])
          if (result !== undefined && result !== 0) return direction === 'asc' ? result : -result
        }
        return compareRows(query.order, a, b)
      })
      return rows.slice(0, query.limit)
    },
  })

const later = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

const mutants: Readonly<Record<string, Mutation>> = {
  'updates without looking at the condition': (store) => ({ update: (key, patch) => store.update(key, patch) }),
  'deletes without looking at the condition': (store) => ({ delete: (key) => store.delete(key) }),
  'looks at the condition first and writes later': (store) => ({
    async update(key, patch, where) {
      const found = store.read([key])[0]
      await later()
      return found !== undefined && matchesFilter(where, types, found) ? store.update(key, patch) : null
    },
  }),
  'looks at the condition after the update': (store) => ({
    update(key, patch, where) {
      const before = store.read([key])[0]
      const result = store.update(key, patch)
      if (result === null || matchesFilter(where, types, result.row)) return result
      if (before !== undefined) store.update(key, before)
      return null
    },
  }),
  'writes back the whole record': (store) => ({
    async update(key, patch, where) {
      const before = store.read([key])[0]
      await later()
      return store.update(key, { ...before, ...patch }, where)
    },
  }),
  'answers the patch instead of the record': (store) => ({
    update(key, patch, where) {
      return store.update(key, patch, where) === null ? null : { row: patch }
    },
  }),
  'answers the record as it was before the update': (store) => ({
    update(key, patch, where) {
      const [row] = store.read([key])
      return store.update(key, patch, where) === null || row === undefined ? null : { row }
    },
  }),
  'answers deletes of nothing': (store) => ({
    delete: (key, where) => store.delete(key, where) ?? { row: {} },
  }),
  'repeats the value in a conflict': (store) => ({
    create(data) {
      try {
        return store.create(data)
      } catch (error) {
        if (error instanceof RtapiError && error.code === 'conflict') {
          throw new RtapiError('conflict', `${JSON.stringify(data['code'])} is taken`)
        }
        throw error
      }
    },
  }),
  'throws its own errors': (store) => ({
    create(data) {
      try {
        return store.create(data)
      } catch {
        throw new Error('UNIQUE constraint failed')
      }
    },
  }),
  'overwrites a record that is there': (store) => ({
    create(data) {
      if (store.read([Number(data['id'])]).length > 0) store.delete(Number(data['id']))
      return store.create(data)
    },
  }),
  'puts an empty text where null cannot be': (store) => ({
    create: (data) => store.create({ ...data, text: typeof data['text'] === 'string' ? data['text'] : '' }),
  }),
  'answers numbers for booleans': (store) => ({
    read: (keys) => store.read(keys).map((row) => ({ ...row, done: Number(row.done) })),
  }),
  'answers numbers for decimals': (store) => ({
    read: (keys) => store.read(keys).map((row) => ({ ...row, price: row.price === null ? null : Number(row.price) })),
  }),
  'answers dates without milliseconds': (store) => ({
    read: (keys) =>
      store.read(keys).map((row) => ({ ...row, happenedAt: row.happenedAt?.replace(/\.\d+Z/, '.000Z') ?? null })),
  }),
  'leaves null fields out': (store) => ({
    find: (query) =>
      store.find(query).map((row) => Object.fromEntries(Object.entries(row).filter(([, value]) => value !== null))),
  }),
  'forgets that a field can be null': (store) => ({
    describe: () => {
      const description = store.describe()
      return { ...description, fields: { ...description.fields, owner: { type: 'string', nullable: false } } }
    },
  }),
  'answers a record for each key, and the same again': (store) => ({
    read: (keys) => keys.flatMap((key) => store.read([key])),
  }),
  'reads at most a hundred keys': (store) => ({ read: (keys) => store.read(keys.slice(0, 100)) }),
  'throws at a missing key': (store) => ({
    read(keys) {
      const rows = store.read(keys)
      if (rows.length < new Set(keys).size) throw new Error('no such record')
      return rows
    },
  }),
  'ignores the case of letters': collating((text) => text.toLowerCase()),
  'ignores accents': collating((text) => text.normalize('NFD').replace(/\p{M}/gu, '')),
  'composes letters and accents': collating((text) => text.normalize('NFC')),
  'ignores blanks at the end': collating((text) => text.trimEnd()),
  'takes an empty text for null': finding((where, row) =>
    matchesFilter(
      where,
      types,
      Object.fromEntries(Object.entries(row).map(([name, value]) => [name, value === '' ? null : value])),
    ),
  ),
  'matches no null with ne and nin': comparing((comparison) => {
    if (comparison.operator !== 'ne' && comparison.operator !== 'nin') return comparison
    const notNull: Comparison = { type: 'compare', field: comparison.field, operator: 'isNull', value: false }
    return { type: 'and', filters: [comparison, notNull] }
  }),
  'matches everything with an empty list': comparing((comparison) =>
    comparison.operator === 'in' && comparison.value.length === 0 ? everything : comparison,
  ),
  'compares decimals as doubles': finding((where, row) =>
    matchesFilter(
      where,
      { ...types, price: 'number' },
      { ...row, price: row['price'] === null ? null : Number(row['price']) },
    ),
  ),
  'compares decimals as text': finding((where, row) => matchesFilter(where, { ...types, price: 'string' }, row)),
  'compares big integers as doubles': comparing((comparison) => {
    if (comparison.field !== 'total' || typeof comparison.value !== 'string') return comparison
    return { ...comparison, value: String(BigInt(Number(comparison.value))) }
  }),
  'takes % for any text': finding((where, row) => {
    const found: boolean[] = []
    const rest = mapComparisons(where, (comparison) => {
      if (comparison.operator !== 'startsWith' || !comparison.value.includes('%')) return comparison
      const text = row[comparison.field]
      const prefix = comparison.value.slice(0, comparison.value.indexOf('%'))
      found.push(true)
      return { type: 'const', value: typeof text === 'string' && text.startsWith(prefix) }
    })
    return matchesFilter(rest, types, row)
  }),
  'folds all letters, not A to Z alone': finding((where, row) =>
    matchesFilter(
      mapComparisons(where, (comparison) => {
        if (comparison.operator !== 'startsWith' || !comparison.ignoreCase) return comparison
        const text = row[comparison.field]
        const matches = typeof text === 'string' && text.toLowerCase().startsWith(comparison.value.toLowerCase())
        return { type: 'const', value: matches }
      }),
      types,
      row,
    ),
  ),
  'orders null last': ordering((_, a, b) =>
    a === null || b === null ? Number(a === null) - Number(b === null) : undefined,
  ),
  'orders text by UTF-16': ordering((_, a, b) =>
    typeof a === 'string' && typeof b === 'string' && !/^-?\d/.test(a) ? (a < b ? -1 : a > b ? 1 : 0) : undefined,
  ),
  'orders text as people do': ordering((field, a, b) =>
    field === 'text' && typeof a === 'string' && typeof b === 'string' ? a.localeCompare(b, 'en') : undefined,
  ),
  'orders big integers as text': ordering((field, a, b) =>
    field === 'total' && typeof a === 'string' && typeof b === 'string' ? (a < b ? -1 : 1) : undefined,
  ),
  'forgets the second term of an order': (store) => ({
    find: (query) => store.find({ ...query, order: query.order.slice(0, 1) }),
  }),
  'limits before it orders': (store) => ({
    find(query) {
      const rows = store.find({ where: query.where, order: [['id', 'asc', 'integer']] }).slice(0, query.limit)
      return rows.toSorted((a, b) => compareRows(query.order, a, b))
    },
  }),
  'ignores the limit': (store) => ({ find: ({ where, order }) => store.find({ where, order }) }),
}

test.each<[how: string, mutation: Mutation]>([
  ['as it is', () => ({})],
  ['with the same meaning of filters', comparing((comparison) => comparison)],
  ['with text in the same form', collating((text) => text)],
  ['with the same order', ordering(() => undefined)],
])('the right store passes, %s', async (_, mutation) => {
  expect(await failuresWith(mutation)).toEqual([])
})

test.each(Object.keys(mutants))('a store that %s is found', async (name) => {
  expect(await failuresWith(mutants[name] ?? (() => ({})))).not.toEqual([])
})
