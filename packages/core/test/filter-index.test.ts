import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { FieldTypes, Filter } from '../src/filter.ts'
import { FilterIndex } from '../src/filter-index.ts'
import { matchesFilter } from '../src/match-filter.ts'
import { parseWhere } from '../src/parse-where.ts'
import type { Row } from '../src/value.ts'
import { fieldTypes, filters, rows } from './support/filters.ts'
import { randomNumbers } from './support/random-numbers.ts'

function visited<T>(index: FilterIndex<T>, row: Row): T[] {
  const items: T[] = []
  index.visit(row, (item) => items.push(item))
  return items
}

/** An index of these filters, each under its place in the list. */
function indexOf(types: FieldTypes, ...wheres: readonly Row[]): FilterIndex<number> {
  const index = new FilterIndex<number>(randomNumbers(1))
  wheres.forEach((where, i) => index.add(i, parseWhere(where, { types }), types))
  return index
}

describe('visits every item whose filter matches, once', () => {
  type Step = { readonly add: Filter } | { readonly delete: number } | { readonly visit: Row }
  const steps: fc.Arbitrary<Step[]> = fc.array(
    fc.oneof(
      { weight: 5, arbitrary: fc.record({ add: filters }) },
      { weight: 2, arbitrary: fc.record({ delete: fc.nat(40) }) },
      { weight: 3, arbitrary: fc.record({ visit: rows }) },
    ),
    { maxLength: 120, size: 'max' },
  )

  test('whatever was added and deleted before', () => {
    let matching = 0
    fc.assert(
      fc.property(steps, fc.integer(), (steps, seed) => {
        const index = new FilterIndex<number>(randomNumbers(seed))
        const model = new Map<number, Filter>()
        steps.forEach((step, i) => {
          if ('add' in step) {
            index.add(i, step.add, fieldTypes)
            model.set(i, step.add)
          } else if ('delete' in step) {
            expect(index.delete(step.delete)).toBe(model.delete(step.delete))
          } else {
            const items = visited(index, step.visit)
            expect(new Set(items).size).toBe(items.length)
            const found = new Set(items)
            for (const [item, filter] of model) {
              if (!matchesFilter(filter, fieldTypes, step.visit)) continue
              matching++
              expect(found.has(item), `item ${item}`).toBe(true)
            }
            for (const item of items) expect(model.has(item)).toBe(true)
          }
          expect(index.size).toBe(model.size)
        })
        for (const item of model.keys()) expect(index.delete(item)).toBe(true)
        expect(visited(index, {})).toEqual([])
      }),
      { numRuns: 150 },
    )
    expect(matching).toBeGreaterThan(1_000)
  })

  test('an item under several branches that all match', () => {
    const index = indexOf(fieldTypes, { or: [{ rank: 1 }, { name: 'a' }, { score: { gt: 0 } }] })
    expect(visited(index, { rank: 1, name: 'a', score: 2 })).toEqual([0])
    expect(visited(index, { rank: 2, name: 'b', score: -2 })).toEqual([])
  })

  test('an item whose prefix is not in normal form', () => {
    const index = new FilterIndex<string>(randomNumbers(1))
    const prefix = { type: 'compare', field: 'name', operator: 'startsWith', value: 'AB', ignoreCase: true } as const
    index.add('a', prefix, fieldTypes)
    expect(visited(index, { name: 'abc' })).toEqual(['a'])
  })

  test('an item under the same term twice goes with one delete', () => {
    const index = indexOf(
      fieldTypes,
      {
        or: [
          { rank: 1, name: 'a' },
          { rank: 1, name: { ne: 'b' } },
        ],
      },
      { rank: 1 },
    )
    index.delete(0)
    expect(visited(index, { rank: 1 })).toEqual([1])
    index.delete(1)
    expect(visited(index, { rank: 1 })).toEqual([])
  })

  test('an item that is added again is filed anew', () => {
    const index = indexOf(fieldTypes, { rank: 1 })
    index.add(0, parseWhere({ rank: 2 }, { types: fieldTypes }), fieldTypes)
    expect(index.size).toBe(1)
    expect(visited(index, { rank: 1 })).toEqual([])
    expect(visited(index, { rank: 2 })).toEqual([0])
  })
})

describe('visits no others where a required term tells them apart', () => {
  test.each<[string, Row, Row]>([
    ['equality', { rank: 1 }, { rank: 2 }],
    ['a list', { rank: { in: [1, 2] } }, { rank: 3 }],
    ['null', { name: null }, { name: '' }],
    ['not null', { rank: 1 }, { rank: null }],
    ['below', { rank: { lt: 2 } }, { rank: 2 }],
    ['at most', { rank: { lte: 2 } }, { rank: 3 }],
    ['above', { rank: { gt: 2 } }, { rank: 2 }],
    ['at least', { rank: { gte: 2 } }, { rank: 1 }],
    ['a range never holds null', { rank: { gte: 2 } }, { rank: null }],
    ['both ends of a range', { rank: { gt: 1, lt: 3 } }, { rank: 3 }],
    ['ends given apart', { and: [{ rank: { gt: 1, lt: 9 } }, { rank: { lte: 3, gte: 0 } }] }, { rank: 4 }],
    ['the later of two starts', { and: [{ rank: { gt: 5 } }, { rank: { gte: 1 } }] }, { rank: 3 }],
    ['the earlier of two ends', { and: [{ rank: { lt: 1 } }, { rank: { lte: 5 } }] }, { rank: 3 }],
    ['the open one of two equal starts', { and: [{ rank: { gt: 1 } }, { rank: { gte: 1 } }] }, { rank: 1 }],
    ['the open one of two equal ends', { and: [{ rank: { lt: 1 } }, { rank: { lte: 1 } }] }, { rank: 1 }],
    ['a range of decimals', { price: { lt: '10' } }, { price: '10.00' }],
    ['a range of dates', { at: { lt: '2026-01-01' } }, { at: '2026-01-01T00:00:00.000Z' }],
    ['a range of text', { name: { gt: '\u{ffff}' } }, { name: '\u{e000}' }],
    ['a prefix', { name: { startsWith: 'ab' } }, { name: 'ac' }],
    ['a prefix before the surrogates', { name: { startsWith: 'a\u{d7ff}' } }, { name: 'a\u{e000}' }],
    ['a prefix in any case', { name: { startsWith: { value: 'aB', ignoreCase: true } } }, { name: 'Ac' }],
    ['every branch of an or', { or: [{ rank: 1 }, { name: { startsWith: 'a' } }] }, { rank: 2, name: 'b' }],
    ['an or inside', { and: [{ or: [{ rank: 1 }, { rank: 2 }] }, { name: { ne: 'a' } }] }, { rank: 3 }],
    ['nothing', { or: [] }, { rank: 1 }],
  ])('%s', (_, where, row) => {
    expect(visited(indexOf(fieldTypes, where), row)).toEqual([])
  })

  test.each<[string, Row, Row]>([
    ['decimals by number', { price: '1.50' }, { price: '1.5000' }],
    ['dates by instant', { at: '2026-01-01T01:00:00+01:00' }, { at: '2026-01-01T00:00:00.000Z' }],
    ['prefixes in any case', { name: { startsWith: { value: 'aB', ignoreCase: true } } }, { name: 'Abc' }],
    ['prefixes without an end', { name: { startsWith: '\u{10ffff}' } }, { name: '\u{10ffff}\u{10ffff}' }],
    ['zero', { score: 0 }, { score: -0 }],
    ['an absent field as null', { name: null }, {}],
  ])('but meets %s', (_, where, row) => {
    expect(visited(indexOf(fieldTypes, where), row)).toEqual([0])
  })
})

describe('the visitor', () => {
  const everyRank = [{ rank: 1 }, { rank: { gt: 0 } }, { rank: { ne: 5 } }]

  test('may delete: what is gone is not visited', () => {
    const index = indexOf(fieldTypes, ...everyRank)
    const items: number[] = []
    index.visit({ rank: 1 }, (item) => {
      items.push(item)
      for (const other of [0, 1, 2]) if (other !== item) index.delete(other)
    })
    expect(items).toHaveLength(1)
    expect(index.size).toBe(1)
  })

  test('may add: what is new is visited the next time', () => {
    const index = indexOf(fieldTypes, ...everyRank)
    let next = 3
    index.visit({ rank: 1 }, () => {
      for (const where of everyRank) index.add(next++, parseWhere(where, { types: fieldTypes }), fieldTypes)
    })
    expect(next).toBe(3 + 9)
    expect(visited(index, { rank: 1 })).toHaveLength(12)
  })

  test('may visit another row', () => {
    const index = indexOf(fieldTypes, ...everyRank)
    const seen: string[] = []
    index.visit({ rank: 1 }, (outer) => index.visit({ rank: 1 }, (inner) => seen.push(`${outer}${inner}`)))
    expect(seen.toSorted()).toEqual(['00', '01', '02', '10', '11', '12', '20', '21', '22'])
  })

  test('that throws leaves the index whole', () => {
    const index = indexOf(fieldTypes, ...everyRank)
    expect(() =>
      index.visit({ rank: 1 }, () => {
        throw new Error('no')
      }),
    ).toThrow('no')
    expect(new Set(visited(index, { rank: 1 }))).toEqual(new Set([0, 1, 2]))
  })
})

describe('chooses the term that tells filters apart', () => {
  const types = {
    id: 'integer',
    topicId: 'integer',
    status: 'string',
    done: 'boolean',
    price: 'decimal',
    at: 'date',
  } as const
  const count = 10_000

  test.each<[string, (i: number) => Row, Row, number]>([
    ['not the one they all share', (i) => ({ status: 'open', topicId: i }), { status: 'open', topicId: 7 }, 30],
    [
      'not the one with few values',
      (i) => ({ done: i % 2 === 0, status: ['new', 'open', 'late'][i % 3] ?? '', topicId: i }),
      { done: true, status: 'new', topicId: 7 },
      60,
    ],
    [
      'a narrow range rather than a common value',
      (i) => ({ status: 'open', price: { gte: i, lt: i + 2 } }),
      { status: 'open', price: '77.5' },
      30,
    ],
    [
      'a value rather than an open range',
      (i) => ({ at: { gt: '2026-01-01' }, topicId: i }),
      { at: '2026-01-02T00:00:00.000Z', topicId: 7 },
      1,
    ],
    [
      'the narrower of two ranges',
      (i) => ({ id: { gt: 0, lt: 1_000_000 }, topicId: { gt: i, lte: i + 3 } }),
      { id: 5, topicId: 500 },
      110,
    ],
    [
      'equality, lists and ranges mixed',
      (i) => mixed(i),
      { topicId: 7, price: '50.00', at: '2026-01-01T00:00:50.500Z' },
      60,
    ],
  ])('%s', (_, where, row, most) => {
    const wheres = Array.from({ length: count }, (_, i) => where(i))
    const index = indexOf(types, ...wheres)
    const items = visited(index, row)
    // Of ten thousand filters a handful, beside those filed before the index had seen enough to choose well.
    expect(items.length).toBeLessThanOrEqual(most)
    for (const [i, where] of wheres.entries()) {
      if (matchesFilter(parseWhere(where, { types }), types, row)) expect(items).toContain(i)
    }
  })

  function mixed(i: number): Row {
    switch (i % 4) {
      case 0:
        return { topicId: i, status: 'open' }
      case 1:
        return { topicId: { in: [i, i + 1, i + 2] } }
      case 2:
        return { price: { gte: i / 100, lt: (i + 10) / 100 }, done: false }
      default:
        return {
          at: {
            gte: new Date(1_767_225_600_000 + i * 10).toISOString(),
            lt: new Date(1_767_225_600_000 + i * 10 + 100).toISOString(),
          },
        }
    }
  }
})
