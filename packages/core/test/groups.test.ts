import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { anyOf, pinnedTerms } from '../src/filter-algebra.ts'
import { type GroupParts, groupBy, groupName, perRecord, wholeResource } from '../src/groups.ts'
import { matchesFilter } from '../src/match-filter.ts'
import { parseWhere } from '../src/parse-where.ts'
import type { Scalar } from '../src/value.ts'
import { fieldTypes, rows, valuesOf } from './support/filters.ts'

// oxfmt-ignore
const hostile = [
  '', ':', '*', '?', '[a]', '{}', '{tag}', '~', '#1', 'a:b', 'a:', ':a', '\r\n', '\0', '../..', 'rt:', '%s', 'a b',
  'é', 'e\u0301', 'ﬁ', 'a\u200b', 'а', 'İ', '\ud800', '😀', '\u{202e}', 'true', 'null', '1', '-1', '1.0', '01',
  'x'.repeat(60), 'x'.repeat(61), 'x'.repeat(64), 'x'.repeat(10_000),
]
const part = fc.oneof(
  fc.constantFrom(...hostile),
  fc.string(),
  fc.stringMatching(/^[A-Za-z0-9_-]{1,70}$/),
  fc.integer(),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
)
const parts = fc.array(part, { maxLength: 4 })

describe('groupName', () => {
  test('is at most 64 bytes of plain ASCII', () => {
    fc.assert(
      fc.property(parts, (parts) => {
        expect(groupName(...parts)).toMatch(/^rt:[A-Za-z0-9_:#~.+-]{0,61}$/)
      }),
      { numRuns: 500 },
    )
  })

  test('is the same for the same parts, and for no others', () => {
    fc.assert(
      fc.property(parts, parts, (a, b) => {
        expect(groupName(...a)).toBe(groupName(...a))
        expect(groupName(...a) === groupName(...b)).toBe(JSON.stringify(a) === JSON.stringify(b))
      }),
      { numRuns: 1_000 },
    )
  })

  test('tells hostile parts apart, one by one and cut at other places', () => {
    const names = new Map<string, GroupParts>()
    const all: GroupParts[] = [[], ...hostile.map((text) => [text])]
    for (const a of hostile) for (const b of hostile) all.push([a, b])
    all.push([1], [-1], [1.5], ['a', 'b', 'c'], ['a:b', 'c'], ['a', 'b:c'], ['#1', 1], [1, '#1'])
    for (const parts of all) {
      const name = groupName(...parts)
      expect(names.get(name), `${JSON.stringify(parts)} is named ${name}`).toBeUndefined()
      names.set(name, parts)
    }
  })

  test('shows plain parts as they are', () => {
    expect(groupName('comments')).toBe('rt:comments')
    expect(groupName('comments', 'topicId', 7)).toBe('rt:comments:topicId:#7')
    expect(groupName('comments', 'topicId', '7')).toBe('rt:comments:topicId:7')
  })

  test('is plain up to 60 characters and hashed from 61', () => {
    expect(groupName('x'.repeat(60))).toBe(`rt:${'x'.repeat(60)}`)
    expect(groupName('x'.repeat(61))).toMatch(/^rt:~[0-9a-f]{40}$/)
    expect(groupName('x'.repeat(29), 'y'.repeat(30))).toHaveLength(63)
    expect(groupName('x'.repeat(30), 'y'.repeat(30))).toMatch(/^rt:~/)
  })
})

/** The names of the groups, or the whole entity's. */
function named(groups: readonly GroupParts[] | undefined): string[] {
  return groups === undefined ? [groupName('tasks')] : groups.map((parts) => groupName('tasks', ...parts))
}

describe('groupBy', () => {
  const pins = (terms: Record<string, readonly Scalar[]>): ReadonlyMap<string, readonly Scalar[]> =>
    new Map(Object.entries(terms))

  test('names the group of a row', () => {
    expect(groupBy('topicId').ofRow({ topicId: 5, text: 'hi' })).toEqual([['topicId', 5]])
    expect(groupBy('a', 'b').ofRow({ a: 'x', b: null })).toEqual([['a', 'x', 'b', 'null']])
    expect(groupBy('a', 'b').fields).toEqual(['a', 'b'])
  })

  test('names the groups of each pinned value, for several fields each combination', () => {
    expect(groupBy('topicId').ofFilter(pins({ topicId: [5, 7] }))).toEqual([
      ['topicId', 5],
      ['topicId', 7],
    ])
    expect(named(groupBy('a', 'b').ofFilter(pins({ a: [1, 2], b: ['x'] })))).toEqual([
      'rt:tasks:a:#1:b:x',
      'rt:tasks:a:#2:b:x',
    ])
  })

  test('leaves a filter that does not pin every field to the whole resource', () => {
    expect(groupBy('topicId').ofFilter(pins({ id: [1] }))).toBeUndefined()
    expect(groupBy('a', 'b').ofFilter(pins({ a: [1] }))).toBeUndefined()
  })

  test('names up to sixteen groups', () => {
    const values = (count: number): number[] => Array.from({ length: count }, (_, i) => i)
    expect(groupBy('a').ofFilter(pins({ a: values(16) }))).toHaveLength(16)
    expect(groupBy('a').ofFilter(pins({ a: values(17) }))).toBeUndefined()
    expect(groupBy('a', 'b').ofFilter(pins({ a: values(4), b: values(4) }))).toHaveLength(16)
    expect(groupBy('a', 'b').ofFilter(pins({ a: values(4), b: values(5) }))).toBeUndefined()
  })

  test('needs no group where nothing can match', () => {
    expect(groupBy('a').ofFilter(pins({ a: [] }))).toEqual([])
  })
})

test('perRecord groups by the key', () => {
  expect(perRecord().ofRow({ id: 'u1' })).toEqual([['id', 'u1']])
  expect(perRecord('a', 'b').ofRow({ a: 1, b: 2 })).toEqual([['a', 1, 'b', 2]])
})

test('wholeResource has no further groups', () => {
  expect(wholeResource().ofRow({ id: 1 })).toEqual([])
  expect(wholeResource().ofFilter(new Map([['id', [1]]]))).toBeUndefined()
})

test('whoever subscribes with a filter hears of every row that matches it', () => {
  let heard = 0
  for (const [field, type] of Object.entries(fieldTypes)) {
    if (type === 'json' || type === 'bytes') continue
    const naming = groupBy(field)
    fc.assert(
      fc.property(fc.array(valuesOf(type), { maxLength: 4 }), fc.boolean(), rows, (values, orNull, row) => {
        const listed = parseWhere({ [field]: { in: values } }, { types: fieldTypes })
        const filter = orNull ? anyOf(listed, parseWhere({ [field]: null }, { types: fieldTypes })) : listed
        if (!matchesFilter(filter, fieldTypes, row)) return
        heard++
        const joined = new Set(named(naming.ofFilter(pinnedTerms(filter))))
        expect(joined.has(named(naming.ofRow(row))[0] ?? ''), `${field} ${JSON.stringify(row[field])}`).toBe(true)
      }),
      { numRuns: 300 },
    )
  }
  expect(heard).toBeGreaterThan(300)
})
