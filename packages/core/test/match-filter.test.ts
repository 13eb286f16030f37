import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compileFilter, matchesFilter } from '../src/match-filter.ts'
import { parseWhere } from '../src/parse-where.ts'
import type { Row } from '../src/value.ts'
import { fieldTypes, rows, wheres } from './support/filters.ts'
import { naiveMatches } from './support/naive-where.ts'

function matches(where: Row, row: Row): boolean {
  return compileFilter(parseWhere(where, { types: fieldTypes }), fieldTypes)(row)
}

test('a filter that was parsed and compiled means what people wrote', () => {
  let hits = 0
  let tries = 0
  fc.assert(
    fc.property(wheres, fc.array(rows, { minLength: 5, maxLength: 5 }), (where, someRows) => {
      const compiled = compileFilter(parseWhere(where, { types: fieldTypes, trusted: true }), fieldTypes)
      for (const row of someRows) {
        const wanted = naiveMatches(where, fieldTypes, row)
        tries++
        if (wanted) hits++
        expect(compiled(row)).toBe(wanted)
      }
    }),
    { numRuns: 2_000 },
  )
  // The generators would prove nothing if filters let all rows through, or none.
  expect(hits / tries).toBeGreaterThan(0.1)
  expect(hits / tries).toBeLessThan(0.8)
})

test('matchesFilter is compileFilter for one row', () => {
  const filter = parseWhere({ rank: { gte: 2 } }, { types: fieldTypes })
  expect(matchesFilter(filter, fieldTypes, { rank: 2 })).toBe(true)
  expect(matchesFilter(filter, fieldTypes, { rank: 1 })).toBe(false)
})

test('a field whose type is not known is a mistake of the caller', () => {
  const filter = parseWhere({ secret: 1 }, { types: { secret: 'integer' } })
  expect(() => compileFilter(filter, fieldTypes)).toThrow(
    new TypeError(`the filter names the field 'secret', whose type is not given`),
  )
  expect(() =>
    compileFilter({ type: 'compare', field: 'toString', operator: 'isNull', value: true }, fieldTypes),
  ).toThrow(TypeError)
})

describe('null', () => {
  test.each([
    [{ rank: null }, true],
    [{ rank: { eq: null } }, true],
    [{ rank: { ne: null } }, false],
    [{ rank: { isNull: true } }, true],
    [{ rank: { isNull: false } }, false],
    [{ rank: 0 }, false],
    [{ rank: { ne: 0 } }, true],
    [{ rank: { in: [0] } }, false],
    [{ rank: { nin: [0] } }, true],
    [{ rank: { nin: [] } }, true],
    [{ rank: { in: [] } }, false],
    [{ rank: { lt: 1 } }, false],
    [{ rank: { lte: 0 } }, false],
    [{ rank: { gt: -1 } }, false],
    [{ rank: { gte: 0 } }, false],
    [{ name: { startsWith: '' } }, false],
    [{ name: { lt: 'z' } }, false],
    [{ name: { lte: 'z' } }, false],
    [{ name: { gt: '' } }, false],
    [{ name: { gte: '' } }, false],
  ])('and %j: %s', (where, wanted) => {
    expect(matches(where as Row, { rank: null, name: null })).toBe(wanted)
    expect(matches(where as Row, {}), 'a field that the row lacks is null').toBe(wanted)
  })
})

describe('values', () => {
  test.each<[string, Row, Row, boolean]>([
    ['decimals are equal as numbers', { price: '1.50' }, { price: '1.5' }, true],
    ['also in lists', { price: { in: ['2', '1.5'] } }, { price: '1.500' }, true],
    ['decimals order as numbers', { price: { lt: '10' } }, { price: '9.99' }, true],
    [
      'below a double’s precision',
      { price: { gt: '0.10000000000000000000000000000000000001' } },
      { price: '0.1' },
      false,
    ],
    ['bigints beyond 2^53 differ', { big: '9007199254740993' }, { big: '9007199254740992' }, false],
    ['bigints order as numbers', { big: { gt: '9' } }, { big: '10' }, true],
    ['dates are instants', { at: '2026-01-01T00:30:00+01:00' }, { at: '2025-12-31T23:30:00.000Z' }, true],
    ['text compares by code point', { name: { gt: '\u{ffff}' } }, { name: '😀' }, true],
    ['with letter case', { name: 'a' }, { name: 'A' }, false],
    ['without normalisation', { name: 'é' }, { name: 'e\u0301' }, false],
    ['a prefix is text, not a pattern', { name: { startsWith: 'a%' } }, { name: 'abc' }, false],
    [
      'folding case concerns A to Z',
      { name: { startsWith: { value: 'STRASSE', ignoreCase: true } } },
      { name: 'strasse 1' },
      true,
    ],
    ['and no other letter', { name: { startsWith: { value: 'É', ignoreCase: true } } }, { name: 'é' }, false],
    [
      'the Kelvin sign is not a K',
      { name: { startsWith: { value: 'k', ignoreCase: true } } },
      { name: '\u{212a}' },
      false,
    ],
    ['false is below true', { done: { lt: true } }, { done: false }, true],
  ])('%s', (_, where, row, wanted) => {
    expect(matches(where, row)).toBe(wanted)
  })
})
