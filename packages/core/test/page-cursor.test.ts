import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { everything } from '../src/filter.ts'
import { allOf } from '../src/filter-algebra.ts'
import { memoryStore } from '../src/memory-store.ts'
import { afterCursor, cursorOf } from '../src/page-cursor.ts'
import { RtapiError } from '../src/protocol.ts'
import type { OrderTerm, Row } from '../src/value.ts'

const types = {
  id: 'integer',
  text: 'string',
  rank: 'number',
  price: 'decimal',
  total: 'bigint',
  at: 'date',
  done: 'boolean',
} as const
type Field = keyof typeof types

/** Few values of each type, so that rows tie, among them what orders badly as text. */
const values: Record<Exclude<Field, 'id'>, fc.Arbitrary<string | number | boolean | null>> = {
  text: fc.constantFrom(null, '', 'a', 'B', 'é', '😀', '\uffff', '%', '"'),
  rank: fc.constantFrom(null, 0, -1, 1.5, 10, 9, 1e-7),
  price: fc.constantFrom(null, '0', '-1.5', '10', '9.99', '12345678901234567890.5'),
  total: fc.constantFrom(null, '0', '9', '10', '-10', '9007199254740993'),
  at: fc.constantFrom(null, '1969-12-31T23:59:59.999Z', '2026-01-01T00:00:00.000Z', '2026-01-01T00:00:00.001Z'),
  done: fc.constantFrom(null, true, false),
}
const fields = Object.keys(values) as (keyof typeof values)[]
const row = fc.record(values)
const order = fc
  .uniqueArray(fc.tuple(fc.constantFrom(...fields), fc.constantFrom('asc', 'desc')), {
    maxLength: 3,
    selector: ([field]) => field,
  })
  .map((terms): readonly OrderTerm[] => [
    ...terms.map(([field, direction]): OrderTerm => [field, direction, types[field]]),
    ['id', 'asc', 'integer'],
  ])

const storeOf = (rows: readonly object[]) =>
  memoryStore({
    entity: 'Row',
    fields: Object.fromEntries(
      Object.entries(types).map(([field, type]) => [field, field === 'id' ? type : { type, nullable: true }]),
    ),
    rows: rows.map((data, i) => ({ ...data, id: i + 1 })),
  })

type Store = ReturnType<typeof storeOf>

function page(store: Store, order: readonly OrderTerm[], limit: number, after: string | undefined) {
  const where = allOf(everything, after === undefined ? everything : afterCursor(order, after))
  const rows = store.find({ where, order, limit: limit + 1 }).slice(0, limit)
  const last = rows.at(-1)
  return { rows, next: rows.length === limit && last !== undefined ? cursorOf(order, last) : undefined }
}

/** All rows, page by page; between two pages something may happen. */
function pages(store: Store, order: readonly OrderTerm[], limit: number, between: () => void = () => undefined): Row[] {
  const all: Row[] = []
  let after: string | undefined
  do {
    const { rows, next } = page(store, order, limit, after)
    all.push(...rows)
    after = next
    between()
  } while (after !== undefined)
  return all
}

describe('pages', () => {
  test('show every row once and in order, whatever ties and is null', () => {
    const rows = fc.array(row, { maxLength: 25 })
    fc.assert(
      fc.property(rows, order, fc.integer({ min: 1, max: 7 }), (rows, order, limit) => {
        const store = storeOf(rows)
        expect(pages(store, order, limit)).toEqual(store.find({ where: everything, order }))
      }),
      { numRuns: 300 },
    )
  })

  test('show every row once that is there all the time, while others come, go and move', () => {
    const rows = fc.array(row, { minLength: 6, maxLength: 20 })
    const changes = fc.infiniteStream(fc.tuple(fc.nat(19), row, fc.nat(2)))
    fc.assert(
      fc.property(rows, order, fc.integer({ min: 1, max: 4 }), changes, (rows, order, limit, changes) => {
        const store = storeOf(rows)
        const touched = new Set<unknown>()
        const seen = pages(store, order, limit, () => {
          const [{ value }] = [changes.next()] as [{ value: [number, Row, number] }]
          const [at, data, kind] = value
          const id = at + 1
          touched.add(id)
          if (store.read([id]).length === 0) store.create({ ...data, id })
          else if (kind === 0) store.delete(id)
          else store.update(id, data)
        })
        const steady = store.find({ where: everything, order }).filter(({ id }) => !touched.has(id))
        expect(seen.filter(({ id }) => !touched.has(id))).toEqual(steady)
      }),
      { numRuns: 200 },
    )
  })
})

describe('a cursor', () => {
  const terms: readonly OrderTerm[] = [
    ['rank', 'desc', 'number'],
    ['id', 'asc', 'integer'],
  ]

  test('is text that fits into a URL', () => {
    fc.assert(
      fc.property(row, order, (data, order) => {
        const cursor = cursorOf(order, { ...data, id: 1 })
        expect(cursor).toMatch(/^[A-Za-z0-9\-_.!~*'()%]*$/)
        expect(() => afterCursor(order, cursor)).not.toThrow()
      }),
    )
  })

  test.each([
    '',
    '%',
    '%5B',
    'null',
    '1',
    '[]',
    '[1]',
    '[1,2,3]',
    '["a",1]',
    '[1,"a"]',
    '[[1],1]',
    '[{"gt":1},1]',
    '[1e999,1]',
    '[true,1]',
    `[${'['.repeat(2_000)}${']'.repeat(2_000)},1]`,
  ])('that is none of the order is refused: %s', (text) => {
    for (const cursor of [text, encodeURIComponent(text)]) {
      expect(() => afterCursor(terms, cursor)).toThrow(RtapiError)
      expect(() => afterCursor(terms, cursor)).toThrow("'after' is no page cursor of this query")
    }
  })
})
