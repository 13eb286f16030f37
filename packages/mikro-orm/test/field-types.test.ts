import {
  type Comparison,
  type FieldType,
  type Row,
  type Scalar,
  type Store,
  compareRows,
  everything,
  matchesFilter,
} from '@rtapi/core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { rtapiMikroOrm } from '../src/index.ts'
import { type DatabaseName, type TestDatabase, missing, openDatabase } from './support/databases.ts'
import { Sample, Shelf } from './support/entities.ts'

type Value = Exclude<Scalar, null>

/** Values to store, and further ones to ask for. What the column cannot hold is only asked for. */
const pools: Readonly<Record<string, { readonly stored: readonly Value[]; readonly asked?: readonly Value[] }>> = {
  uuid: {
    stored: ['00000000-0000-0000-0000-0000000000ff', 'a0000000-0000-4000-8000-000000000000'],
    asked: ['A0000000-0000-4000-8000-000000000000', 'no uuid', ''],
  },
  day: { stored: ['2026-01-31', '1999-12-31', '0999-01-01'], asked: ['2026-02-30', '2026', 'x', '2026-1-31'] },
  time: { stored: ['10:00:00', '23:59:59', '00:00:00'], asked: ['10', '10:00', 'x'] },
  letters: { stored: ['abc', 'ABC', 'äbc'], asked: ['ab', 'abc '] },
  state: { stored: ['open', 'Doing', 'done'], asked: ['OPEN', 'x', 'd'] },
  level: { stored: [1, 2, 30], asked: [0, 3] },
  small: { stored: [-32_768, 0, 32_767], asked: [1, 1_000_000] },
  real: { stored: [0.1, -2.5, 16_777_216], asked: [0.10000000149011612, 0.2, 0.1000001] },
  rate: { stored: [0.1, 1_234.5678, -0.0001], asked: [0.10001, 0.2] },
  count: { stored: [9_007_199_254_740_991, -1, 0], asked: [1] },
  ticks: { stored: ['9223372036854775807', '-9223372036854775808', '0'], asked: ['1'] },
  memo: { stored: ['a', 'A ', 'a\n', 'ß', '😀', '\ue000'], asked: ['', 'a ', 'B'] },
  flag: { stored: [true, false] },
  shelfId: { stored: [1, 2], asked: [3] },
}

/** MariaDB takes the same keys in another case, with accents or with blanks for duplicates. */
const namesOn = {
  sqlite: ['a', 'A', 'a ', 'ä', 'b%', 'b_', '😀', '\ue000'],
  postgres: ['a', 'A', 'a ', 'ä', 'b%', 'b_', '😀', '\ue000'],
  mariadb: ['a', 'B', 'c ', 'é', 'f%', 'f_', 'z', 'Ž1'],
}

const operators = ['eq', 'ne', 'lt', 'lte', 'gt', 'gte'] as const

describe.each<DatabaseName>(['sqlite', 'postgres', 'mariadb'])('on %s', async (name) => {
  const names = namesOn[name]
  const reason = await missing(name)
  describe.skipIf(reason !== undefined)(reason ?? 'each kind of field', () => {
    let database: TestDatabase
    let store: Store
    let rows: readonly Row[]
    let types: Readonly<Record<string, FieldType>>

    beforeAll(async () => {
      database = await openDatabase(name)
      store = rtapiMikroOrm(database.orm).store(Sample)
      types = Object.fromEntries(Object.entries(store.describe().fields).map(([field, { type }]) => [field, type]))
      const em = database.orm.em.fork()
      for (const id of [1, 2]) em.create(Shelf, { id, name: String(id) })
      await em.flush()
      for (const [i, key] of names.entries()) {
        const fields = Object.entries(pools).map(([field, { stored }]) => [field, stored[i] ?? null])
        await store.create({ name: key, ...Object.fromEntries(fields) } as Row)
      }
      // Parts of milliseconds, as other programs and the defaults of columns leave them.
      if (name !== 'sqlite') {
        for (const [i, fraction] of ['.123456', '.123', '.1239', '.124'].entries()) {
          const text = `2026-01-31 12:00:00${fraction}`
          await em.execute('update sample set instant = ? where name = ?', [text, names[i]])
        }
      }
      rows = await store.find({ where: everything, order: [] })
    })
    afterAll(async () => database.close())

    const instants = ['2026-01-31T12:00:00.123Z', '2026-01-31T12:00:00.124Z', '2026-01-31T12:00:00.000Z']
    const fields = {
      ...pools,
      name: { stored: names, asked: ['B', 'ab', ''] },
      instant: { stored: [], asked: instants },
    }

    test.each(Object.entries(fields))('%s compares in the database as in memory', async (field, pool) => {
      expect(rows).toHaveLength(names.length)
      const values: readonly Value[] = [...pool.stored, ...('asked' in pool ? (pool.asked ?? []) : [])]
      const filters = values.flatMap((value): Comparison[] => [
        ...operators.map((operator) => ({ type: 'compare' as const, field, operator, value })),
        ...(types[field] === 'string' ? textFilters(field, String(value)) : []),
      ])
      filters.push(
        { type: 'compare', field, operator: 'in', value: values },
        { type: 'compare', field, operator: 'nin', value: values.slice(0, 2) },
        { type: 'compare', field, operator: 'isNull', value: true },
      )
      for (const filter of filters) {
        const found = await store.find({ where: filter, order: [] })
        const expected = rows.filter((row) => matchesFilter(filter, types, row))
        expect(namesOf(found), JSON.stringify(filter)).toEqual(namesOf(expected))
      }
    })

    test.each(Object.keys(fields))('%s sorts in the database as in memory', async (field) => {
      for (const direction of ['asc', 'desc'] as const) {
        const order = [[field, direction, types[field] ?? 'json'] as const, ['name', 'asc', 'string'] as const]
        const found = await store.find({ where: everything, order, limit: 5 })
        const expected = rows.toSorted((a, b) => compareRows(order, a, b)).slice(0, 5)
        expect(found, `${field} ${direction}`).toEqual(expected)
      }
    })

    test('keys of text are told apart to the last blank', async () => {
      for (const key of [...names, 'b', 'A', 'a ', 'C', 'c', 'e', '']) {
        const found = await store.read([key])
        expect(namesOf(found)).toEqual(names.includes(key) ? [key] : [])
      }
      expect(namesOf(await store.read(['a', 'A  ', names[4] ?? '', 'nobody']))).toEqual(['a', names[4]])
    })
  })
})

function textFilters(field: string, value: string): Comparison[] {
  const prefix = Array.from(value).slice(0, 2).join('')
  return [true, false].flatMap((ignoreCase) => [
    { type: 'compare', field, operator: 'startsWith', value: prefix, ignoreCase },
    { type: 'compare', field, operator: 'notStartsWith', value: prefix.toUpperCase(), ignoreCase },
  ])
}

function namesOf(rows: readonly Row[]): readonly string[] {
  return rows.map(({ name }) => (typeof name === 'string' ? name : '')).toSorted()
}
