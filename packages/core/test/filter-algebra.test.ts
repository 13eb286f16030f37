import { isDeepStrictEqual } from 'node:util'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Filter, everything, nothing } from '../src/filter.ts'
import { allOf, anyOf, assume, canonicalText, fieldsOf, negate, pinnedTerms } from '../src/filter-algebra.ts'
import { matchesFilter } from '../src/match-filter.ts'
import { parseWhere } from '../src/parse-where.ts'
import type { Row, Scalar } from '../src/value.ts'
import { fieldTypes, filters, rows } from './support/filters.ts'

const runs = { numRuns: 1_000 }
const someRows = fc.array(rows, { minLength: 5, maxLength: 5 })
const someFilters = fc.array(filters, { maxLength: 3 })

function where(text: Row): Filter {
  return parseWhere(text, { types: fieldTypes })
}

function matches(filter: Filter, row: Row): boolean {
  return matchesFilter(filter, fieldTypes, row)
}

describe('laws', () => {
  test('allOf is and, anyOf is or', () => {
    fc.assert(
      fc.property(someFilters, someRows, (parts, someRows) => {
        for (const row of someRows) {
          expect(matches(allOf(...parts), row)).toBe(parts.every((part) => matches(part, row)))
          expect(matches(anyOf(...parts), row)).toBe(parts.some((part) => matches(part, row)))
        }
      }),
      runs,
    )
  })

  test('negate matches exactly the other rows, and twice is the same rows again', () => {
    fc.assert(
      fc.property(filters, someRows, (filter, someRows) => {
        for (const row of someRows) {
          expect(matches(negate(filter), row)).toBe(!matches(filter, row))
          expect(matches(negate(negate(filter)), row)).toBe(matches(filter, row))
        }
      }),
      runs,
    )
  })

  test('what is in normal form stays as it is, and its text survives the wire', () => {
    fc.assert(
      fc.property(filters, (filter) => {
        expect(allOf(filter)).toStrictEqual(filter)
        expect(anyOf(filter)).toStrictEqual(filter)
        expect(canonicalText(JSON.parse(JSON.stringify(filter)) as Filter)).toBe(canonicalText(filter))
      }),
      runs,
    )
  })

  test('the order of parts and the grouping do not matter to the text', () => {
    fc.assert(
      fc.property(filters, filters, filters, (a, b, c) => {
        for (const join of [allOf, anyOf]) {
          expect(canonicalText(join(c, b, a, a))).toBe(canonicalText(join(join(a, b), c)))
        }
      }),
      runs,
    )
  })

  test('two filters share a text exactly if they are the same', () => {
    const other = fc
      .tuple(filters, filters)
      .chain(([a, b]) =>
        fc.tuple(fc.constant(a), fc.constantFrom(a, b, negate(a), allOf(a, b), anyOf(b, a), allOf(b, b, a))),
      )
    fc.assert(
      fc.property(other, ([a, b]) => {
        expect(canonicalText(a) === canonicalText(b)).toBe(isDeepStrictEqual(a, b))
      }),
      runs,
    )
  })

  test('a row that matches has one of the pinned values in each pinned field', () => {
    fc.assert(
      fc.property(filters, someRows, (filter, someRows) => {
        const pinned = pinnedTerms(filter)
        for (const row of someRows) {
          if (matches(filter, row)) expect(agrees(row, pinned)).toBe(true)
        }
      }),
      runs,
    )
  })

  test('assume agrees with the filter on rows that have the pinned values', () => {
    let decided = 0
    fc.assert(
      fc.property(filters, filters, someRows, (filter, known, someRows) => {
        const pinned = pinnedTerms(known)
        const assumed = assume(filter, pinned, fieldTypes)
        if (canonicalText(assumed) !== canonicalText(filter)) decided++
        for (const row of someRows) {
          for (const like of rowsLike(row, pinned)) expect(matches(assumed, like)).toBe(matches(filter, like))
        }
      }),
      runs,
    )
    expect(decided).toBeGreaterThan(20)
  })
})

function agrees(row: Row, pinned: ReadonlyMap<string, readonly Scalar[]>): boolean {
  return [...pinned].every(([field, values]) =>
    values.some((value) =>
      value === null ? row[field] === null : matches({ type: 'compare', field, operator: 'eq', value }, row),
    ),
  )
}

/** The row with each combination of pinned values in place of its own. */
function rowsLike(row: Row, pinned: ReadonlyMap<string, readonly Scalar[]>): readonly Row[] {
  let like = [row]
  for (const [field, values] of pinned)
    like = like.flatMap((row) => values.map((value) => ({ ...row, [field]: value })))
  return like
}

describe('normal form', () => {
  test.each<[Row, Row]>([
    [{ rank: 1, done: true }, { and: [{ done: true }, { and: [{ rank: { eq: 1 } }] }] }],
    [{ price: '1.50' }, { price: { in: ['1.5', '01.500'] } }],
    [{ at: '2026-01-01T01:00:00+01:00' }, { at: '2026-01-01' }],
    [{ rank: { in: [2, 1, 2] } }, { rank: { in: [1, 2] } }],
    [{ rank: { nin: [1] } }, { rank: { ne: 1 } }],
    [{ or: [{ rank: 1 }, { rank: 1 }] }, { rank: 1 }],
    [{ name: { startsWith: '' } }, { name: { ne: null } }],
    [
      { name: { startsWith: { value: 'AB', ignoreCase: true } } },
      { name: { startsWith: { value: 'ab', ignoreCase: true } } },
    ],
    [{ name: { startsWith: { value: '1%', ignoreCase: true } } }, { name: { startsWith: '1%' } }],
    [{ or: [{ rank: 1 }, { or: [] }] }, { rank: 1 }],
  ])('%j is %j', (a, b) => {
    expect(canonicalText(where(a))).toBe(canonicalText(where(b)))
  })

  test.each<[Row, Filter]>([
    [{}, everything],
    [{ and: [] }, everything],
    [{ or: [] }, nothing],
    [{ rank: 1, or: [] }, nothing],
    [{ rank: { in: [] } }, nothing],
    [{ rank: { nin: [] } }, everything],
    [{ or: [{}, { rank: 1 }] }, everything],
  ])('%j folds to a constant', (text, constant) => {
    expect(where(text)).toStrictEqual(constant)
  })

  test('values of different types and operators never share a text', () => {
    const texts: readonly Row[] = [
      { name: '1' },
      { rank: 1 },
      { score: 1 },
      { name: 'true' },
      { done: true },
      { name: { in: ['1', '2'] } },
      { name: '1,2' },
      { name: { startsWith: '1' } },
      { name: { ne: '1' } },
      { name: null },
      { name: 'null' },
      {},
      { rank: 1, score: 1 },
      { or: [{ rank: 1 }, { score: 1 }] },
      { name: { startsWith: { value: 'a', ignoreCase: true } } },
      { name: { startsWith: 'a' } },
    ]
    expect(new Set(texts.map((text) => canonicalText(where(text)))).size).toBe(texts.length)
  })
})

describe('negate', () => {
  test.each<[Row, Row]>([
    [{ rank: { lt: 1 } }, { or: [{ rank: { gte: 1 } }, { rank: null }] }],
    [{ rank: 1, done: true }, { or: [{ rank: { ne: 1 } }, { done: { ne: true } }] }],
    [{ rank: { in: [1, 2] } }, { rank: { nin: [1, 2] } }],
    [{ rank: null }, { rank: { isNull: false } }],
    [{}, { or: [] }],
  ])('of %j is %j', (a, b) => {
    expect(negate(where(a))).toStrictEqual(where(b))
    expect(canonicalText(negate(where(b)))).toBe(canonicalText(negate(negate(where(a)))))
  })

  test('of startsWith is an operator of its own, which matches null', () => {
    const not = negate(where({ name: { startsWith: { value: 'A', ignoreCase: true } } }))
    expect(not).toStrictEqual({
      type: 'compare',
      field: 'name',
      operator: 'notStartsWith',
      value: 'a',
      ignoreCase: true,
    })
    expect(['abc', 'ABC', 'b', '', null].map((name) => matches(not, { name }))).toEqual([
      false,
      false,
      true,
      true,
      true,
    ])
  })
})

describe('pinnedTerms', () => {
  test.each<[Row, Record<string, Scalar[]>]>([
    [{ rank: 1 }, { rank: [1] }],
    [
      { rank: { in: [1, 2] }, done: true },
      { rank: [1, 2], done: [true] },
    ],
    [{ name: null }, { name: [null] }],
    [{ and: [{ rank: { in: [1, 2] } }, { rank: { in: [2, 3] } }] }, { rank: [2] }],
    [{ and: [{ rank: 1 }, { rank: 2 }] }, { rank: [] }],
    [{ and: [{ rank: 1 }, { rank: null }] }, { rank: [] }],
    [
      {
        or: [
          { rank: 1, done: true },
          { rank: 2, name: 'a' },
        ],
      },
      { rank: [1, 2] },
    ],
    [{ or: [{ rank: 1 }, { name: 'a' }] }, {}],
    [{ rank: { ne: 1 }, score: { lt: 1 }, name: { startsWith: 'a' }, big: { isNull: false } }, {}],
    [{}, {}],
    [{ price: '1.50' }, { price: ['1.5'] }],
  ])('of %j are %j', (text, pinned) => {
    expect(Object.fromEntries(pinnedTerms(where(text)))).toEqual(pinned)
  })
})

describe('assume', () => {
  const scope = where({ or: [{ rank: { in: [5, 7] } }, { name: 'me' }] })
  const other = where({ or: [{ rank: { in: [5, 9] } }, { name: 'you' }] })

  test('scopes that agree on the pinned value become the same', () => {
    const pinned = pinnedTerms(where({ rank: 5 }))
    expect(assume(scope, pinned, fieldTypes)).toStrictEqual(everything)
    expect(assume(other, pinned, fieldTypes)).toStrictEqual(everything)
  })

  test('a comparison that the pinned value refutes goes', () => {
    expect(assume(scope, new Map([['rank', [6]]]), fieldTypes)).toStrictEqual(where({ name: 'me' }))
  })

  test('one that the pinned values answer differently stays', () => {
    expect(assume(scope, new Map([['rank', [5, 6]]]), fieldTypes)).toStrictEqual(scope)
  })

  test('null and other spellings are decided by meaning', () => {
    const filter = where({ price: { gte: '1.50' }, name: { ne: 'a' } })
    const pinned = new Map<string, readonly Scalar[]>([
      ['price', ['1.5', '10']],
      ['name', [null]],
    ])
    expect(assume(filter, pinned, fieldTypes)).toStrictEqual(everything)
  })

  test('where nothing can match, the filter is nothing', () => {
    expect(assume(where({ rank: { ne: 1 } }), new Map([['rank', []]]), fieldTypes)).toStrictEqual(nothing)
  })
})

test('fieldsOf names each field that the filter looks at', () => {
  const filter = where({ rank: 1, or: [{ name: null }, { and: [{ price: { lt: 1 } }, { rank: 2 }] }] })
  expect([...fieldsOf(filter)].toSorted()).toEqual(['name', 'price', 'rank'])
  expect(fieldsOf(everything).size).toBe(0)
})
