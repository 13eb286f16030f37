import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { canonicalText } from '../src/filter-algebra.ts'
import { type ParseWhereOptions, checkLookups, operatorsOf, parseWhere } from '../src/parse-where.ts'
import { defaultLimits } from '../src/protocol.ts'
import type { Lookup } from '../src/resource.ts'
import { fieldTypes, wheres } from './support/filters.ts'
import { refusal as refusalOf } from './support/refusal.ts'

const lookups: Record<string, Lookup> = {
  ranks: { field: 'rank', operator: 'in' },
  called: { field: 'name', operator: 'startsWith', ignoreCase: true },
  spelled: { field: 'name', operator: 'startsWith' },
  without: { field: 'price', operator: 'isNull' },
  before: { field: 'at', operator: 'lt' },
  hidden: { field: 'salary', operator: 'eq' },
}
const options: ParseWhereOptions = { types: fieldTypes, lookups }

function refusal(where: unknown, given: ParseWhereOptions = options): string {
  const { code, message } = refusalOf(() => parseWhere(where, given))
  expect(code).toBe('bad_request')
  return message
}

function compare(field: string, operator: string, value: unknown): object {
  return { type: 'compare', field, operator, value }
}

describe('accepts', () => {
  test.each<[unknown, object]>([
    [{ rank: 1 }, compare('rank', 'eq', 1)],
    [{ rank: -0 }, compare('rank', 'eq', 0)],
    [{ rank: null }, compare('rank', 'isNull', true)],
    [{ rank: { eq: null } }, compare('rank', 'isNull', true)],
    [{ rank: { ne: null } }, compare('rank', 'isNull', false)],
    [{ rank: { isNull: false } }, compare('rank', 'isNull', false)],
    [{ extra: null }, compare('extra', 'isNull', true)],
    [{ blob: { ne: null } }, compare('blob', 'isNull', false)],
    [{ done: { gte: true } }, compare('done', 'gte', true)],
    [{ big: 12 }, compare('big', 'eq', '12')],
    [{ price: '007.50' }, compare('price', 'eq', '7.5')],
    [{ at: { lt: '2026-01-01T01:00+01:00' } }, compare('at', 'lt', '2026-01-01T00:00:00.000Z')],
    [{ rank: { in: [2, 1, 2] } }, compare('rank', 'in', [1, 2])],
    [{ rank: { nin: [1] } }, compare('rank', 'ne', 1)],
    [{ rank: { in: [] } }, { type: 'const', value: false }],
    [{ or: [] }, { type: 'const', value: false }],
    [{ and: [] }, { type: 'const', value: true }],
    [{}, { type: 'const', value: true }],
    [Object.assign(Object.create(null), { rank: 1 }), compare('rank', 'eq', 1)],
    [{ name: { startsWith: '50%' } }, { ...compare('name', 'startsWith', '50%'), ignoreCase: false }],
    [
      { name: { startsWith: { value: 'Ab', ignoreCase: true } } },
      { ...compare('name', 'startsWith', 'ab'), ignoreCase: true },
    ],
    [{ rank: { gt: 1, lte: 5 } }, { type: 'and', filters: [compare('rank', 'gt', 1), compare('rank', 'lte', 5)] }],
    [
      { rank: 1, or: [{ done: true }, { done: null }] },
      {
        type: 'and',
        filters: [
          compare('rank', 'eq', 1),
          { type: 'or', filters: [compare('done', 'eq', true), compare('done', 'isNull', true)] },
        ],
      },
    ],
    [{ ranks: [3, 1] }, compare('rank', 'in', [1, 3])],
    [{ called: 'Bo' }, { ...compare('name', 'startsWith', 'bo'), ignoreCase: true }],
    [{ spelled: 'Bo' }, { ...compare('name', 'startsWith', 'Bo'), ignoreCase: false }],
    [{ without: true }, compare('price', 'isNull', true)],
    [{ or: [{ before: '2026-01-01' }] }, compare('at', 'lt', '2026-01-01T00:00:00.000Z')],
  ])('%j', (where, filter) => {
    expect(sorted(parseWhere(where, options))).toEqual(sorted(filter))
  })

  test('whatever the generator of filters writes, and answers it in normal form', () => {
    fc.assert(
      fc.property(wheres, (where) => {
        const filter = parseWhere(where, { types: fieldTypes, trusted: true })
        // What was said twice, or in a row, is the same as what was said once.
        expect(
          canonicalText(parseWhere({ and: [where, { and: [where] }] }, { types: fieldTypes, trusted: true })),
        ).toBe(canonicalText(filter))
      }),
    )
  })
})

/** The parts of a filter in an order that the tests need not know. */
function sorted(filter: object): unknown {
  if (!('filters' in filter)) return filter
  const parts = (filter.filters as object[]).map(sorted)
  return { ...filter, filters: parts.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)) }
}

describe('refuses', () => {
  test.each<[unknown, string]>([
    // Not an object of fields.
    [undefined, "where: expected an object of fields, 'and' and 'or'"],
    [null, "where: expected an object of fields, 'and' and 'or'"],
    [[], "where: expected an object of fields, 'and' and 'or'"],
    ['rank = 1', "where: expected an object of fields, 'and' and 'or'"],
    [new Map([['rank', 1]]), "where: expected an object of fields, 'and' and 'or'"],
    [Object.create({ rank: 1 }), "where: expected an object of fields, 'and' and 'or'"],
    [{ [Symbol('or')]: [] }, "where: expected an object of fields, 'and' and 'or'"],
    [Object.defineProperty({}, 'rank', { value: 1 }), "where: expected an object of fields, 'and' and 'or'"],
    // `and` and `or`.
    [{ or: {} }, 'where.or: expected an array of filters'],
    [{ or: { 0: { rank: 1 }, length: 1 } }, 'where.or: expected an array of filters'],
    [{ and: null }, 'where.and: expected an array of filters'],
    [{ and: undefined }, 'where.and: expected an array of filters'],
    [{ and: [{ or: [1] }] }, "where.and[0].or[0]: expected an object of fields, 'and' and 'or'"],
    // eslint-disable-next-line no-sparse-arrays
    [{ and: [, { rank: 1 }] }, "where.and[0]: expected an object of fields, 'and' and 'or'"],
    // Operators.
    [{ rank: {} }, 'where.rank: expected at least one operator: eq, ne, in, nin, lt, lte, gt, gte, isNull'],
    [
      { rank: { above: 1 } },
      "where.rank: unknown operator 'above'; a field of type integer takes eq, ne, in, nin, lt, lte, gt, gte, isNull",
    ],
    [
      { name: { regex: '(a+)+$' } },
      "where.name: unknown operator 'regex'; a field of type string takes eq, ne, in, nin, lt, lte, gt, gte, isNull, startsWith",
    ],
    [
      { name: { notStartsWith: 'a' } },
      "where.name: unknown operator 'notStartsWith'; a field of type string takes eq, ne, in, nin, lt, lte, gt, gte, isNull, startsWith",
    ],
    [
      { name: { $like: '%' } },
      "where.name: unknown operator '$like'; a field of type string takes eq, ne, in, nin, lt, lte, gt, gte, isNull, startsWith",
    ],
    [
      { name: JSON.parse('{"__proto__":1}') as unknown },
      "where.name: unknown operator '__proto__'; a field of type string takes eq, ne, in, nin, lt, lte, gt, gte, isNull, startsWith",
    ],
    [
      { rank: { startsWith: '1' } },
      "where.rank: unknown operator 'startsWith'; a field of type integer takes eq, ne, in, nin, lt, lte, gt, gte, isNull",
    ],
    [{ extra: { in: [] } }, "where.extra: unknown operator 'in'; a field of type json takes eq, ne, isNull"],
    [{ blob: { lt: 'AA==' } }, "where.blob: unknown operator 'lt'; a field of type bytes takes eq, ne, isNull"],
    [{ rank: { isNull: 1 } }, 'where.rank.isNull: expected true or false'],
    // Values.
    [{ rank: undefined }, 'where.rank: expected a whole number below 2^53'],
    [{ rank: { gt: undefined } }, 'where.rank.gt: expected a whole number below 2^53'],
    [{ rank: '1' }, 'where.rank: expected a whole number below 2^53'],
    [{ rank: [1] }, 'where.rank: expected a value of type integer, null or an object of operators'],
    [{ at: new Date(0) }, 'where.at: expected a value of type date, null or an object of operators'],
    [{ name: new String('a') }, 'where.name: expected a value of type string, null or an object of operators'],
    [{ name: { eq: { __raw: true, sql: '1=1' } } }, 'where.name.eq: expected a string'],
    [{ name: { eq: ['a'] } }, 'where.name.eq: expected a string'],
    [{ name: 'a\0' }, 'where.name: expected text without NUL and lone surrogates'],
    [{ name: { startsWith: '\ud800' } }, 'where.name.startsWith: expected text without NUL and lone surrogates'],
    [{ extra: 1 }, 'where.extra: a field of type json can only be tested for null'],
    [{ extra: [] }, 'where.extra: expected null or an object of operators'],
    [{ blob: 'AA==' }, 'where.blob: a field of type bytes can only be tested for null'],
    [{ rank: { lt: null } }, 'where.rank.lt: expected a value other than null; isNull asks for null'],
    [{ rank: { in: [1, null] } }, 'where.rank.in[1]: expected a value other than null; isNull asks for null'],
    [{ rank: { in: 1 } }, 'where.rank.in: expected an array of values'],
    [{ rank: { in: { 0: 1, length: 1 } } }, 'where.rank.in: expected an array of values'],
    [{ rank: { nin: [[1]] } }, 'where.rank.nin[0]: expected a whole number below 2^53'],
    [{ name: { startsWith: null } }, 'where.name.startsWith: expected a string, or { value, ignoreCase }'],
    [{ name: { startsWith: { value: 'a' } } }, 'where.name.startsWith: expected a string, or { value, ignoreCase }'],
    [
      { name: { startsWith: { value: 'a', ignoreCase: 1 } } },
      'where.name.startsWith: expected a string, or { value, ignoreCase }',
    ],
    [
      { name: { startsWith: { value: 'a', ignoreCase: true, locale: 'tr' } } },
      'where.name.startsWith: expected a string, or { value, ignoreCase }',
    ],
    [
      { name: { startsWith: { value: 1, ignoreCase: true } } },
      'where.name.startsWith: expected a string, or { value, ignoreCase }',
    ],
    // Lookups.
    [{ ranks: 1 }, 'where.ranks: expected an array of values'],
    [{ ranks: { in: [1] } }, 'where.ranks: expected an array of values'],
    [{ called: null }, 'where.called: expected a string'],
    [{ called: { value: 'a', ignoreCase: false } }, 'where.called: expected a string'],
    [
      { before: 'soon' },
      'where.before: expected a date as ISO 8601 with a time zone, such as 2026-01-31T12:00:00.000Z',
    ],
    [{ or: [{}, { without: 'yes' }] }, 'where.or[1].without: expected true or false'],
  ])('%j: %s', (where, message) => {
    expect(refusal(where)).toBe(message)
  })

  test.each(['salary', 'nothing', 'hidden', 'rank.value', 'toString', 'constructor', '__proto__', 'and ', 'RANK', ''])(
    'the field %j, with the text of a field that does not exist',
    (name) => {
      const known =
        'name, nick, rank, score, done, big, price, at, blob, extra, ranks, called, spelled, without, before'
      for (const value of [1, null, { gt: 1 }, { bad: 1 }, [], undefined]) {
        const where: unknown = JSON.parse(`{${JSON.stringify(name)}:${JSON.stringify(value) ?? 'null'}}`)
        expect(refusal(where)).toBe(`unknown field '${name}' in where; there are ${known}`)
        expect(refusal({ or: [where] })).toBe(`unknown field '${name}' in where.or[0]; there are ${known}`)
      }
    },
  )

  test('bigints, which no codec carries', () => {
    expect(refusal({ big: 1n })).toBe('where.big: expected a 64-bit whole number, as a string of digits')
  })

  test('without echoing what could break a log line or a terminal, or is long', () => {
    expect(refusal({ ['\u001b[31m\r\nname\u{202e}']: 1 }, { types: {} })).toBe(
      "unknown field '?[31m??name?' in where; there are none",
    )
    expect(refusal({ ['x'.repeat(1000)]: 1 }, { types: {} })).toBe(
      `unknown field '${'x'.repeat(64)}' in where; there are none`,
    )
    expect(refusal({ rank: { ['\n'.repeat(100)]: 1 } })).toContain(`unknown operator '${'?'.repeat(64)}'`)
  })

  test('naming no more than twenty fields', () => {
    const types = Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`f${i}`, 'integer' as const]))
    expect(refusal({ g: 1 }, { types })).toMatch(/; there are f0, .*, f19 …$/)
  })
})

describe('limits', () => {
  const { filterDepth, filterClauses, filterList, filterText } = defaultLimits

  function nested(depth: number): object {
    let where: object = { rank: 1 }
    for (let i = 0; i < depth; i++) where = i % 2 === 0 ? { and: [where] } : { or: [where] }
    return where
  }
  const clauses = (count: number): object => ({ or: Array.from({ length: count }, (_, i) => ({ rank: i })) })
  const list = (count: number): object => ({ rank: { in: Array.from({ length: count }, (_, i) => i) } })
  const prefix = (count: number): object => ({ name: { startsWith: 'x'.repeat(count) } })

  test.each<[string, (count: number) => object, number, RegExp]>([
    ['levels', nested, filterDepth, /'and' and 'or' may be nested 4 levels deep$/],
    ['comparisons', clauses, filterClauses, /a filter holds at most 32 comparisons$/],
    [
      'operators',
      (count) => ({
        and: Array.from({ length: count / 2 }, () => ({ rank: { gt: 1, lt: 2 } })),
        rank: count % 2 ? 1 : { gt: 0 },
      }),
      filterClauses - 1,
      /at most 32 comparisons$/,
    ],
    [
      'empty filters',
      (count) => ({ or: Array.from({ length: count }, () => ({})) }),
      filterClauses,
      /at most 32 comparisons$/,
    ],
    [
      'empty lists of filters',
      (count) => ({ or: Array.from({ length: count }, () => ({ and: [] })) }),
      filterClauses,
      /at most 32 comparisons$/,
    ],
    ['values in a list', list, filterList, /^where\.rank\.in: expected at most 100 values$/],
    [
      'values of a lookup',
      (count) => ({ ranks: Array.from({ length: count }, (_, i) => i) }),
      filterList,
      /^where\.ranks: expected at most 100 values$/,
    ],
    ['characters of a prefix', prefix, filterText, /^where\.name\.startsWith: expected at most 64 characters$/],
    [
      'characters of a folded prefix',
      (count) => ({ name: { startsWith: { value: 'x'.repeat(count), ignoreCase: true } } }),
      filterText,
      /at most 64 characters$/,
    ],
  ])('%s', (_, make, limit, message) => {
    expect(parseWhere(make(limit), options)).toBeDefined()
    expect(refusal(make(limit + 1))).toMatch(message)
    expect(parseWhere(make(limit + 1), { ...options, trusted: true }), 'not for the developer').toBeDefined()
  })

  test('can be set', () => {
    const limits = { ...defaultLimits, filterDepth: 1, filterClauses: 2, filterList: 2, filterText: 2 }
    expect(refusal(nested(2), { ...options, limits })).toMatch('nested 1 levels')
    expect(refusal(clauses(3), { ...options, limits })).toMatch('at most 2 comparisons')
    expect(refusal(list(3), { ...options, limits })).toMatch('at most 2 values')
    expect(refusal(prefix(3), { ...options, limits })).toMatch('at most 2 characters')
  })

  test('are met before the work is done', () => {
    let read = 0
    const values = new Proxy(
      Array.from({ length: 100_000 }, (_, i) => i),
      {
        get(target, name, receiver): unknown {
          if (typeof name === 'string' && /^\d+$/.test(name)) read++
          return Reflect.get(target, name, receiver)
        },
      },
    )
    expect(refusal({ rank: { in: values } })).toMatch('at most 100 values')
    expect(read).toBe(0)
  })

  test('nesting far beyond the limit does not overflow the stack', () => {
    expect(refusal(nested(100_000))).toMatch('nested 4 levels deep')
  })
})

describe('a filter that the developer wrote', () => {
  const trusted = { ...options, trusted: true }

  test('may hold objects for dates and big integers', () => {
    expect(parseWhere({ at: new Date(0) }, trusted)).toEqual(compare('at', 'eq', '1970-01-01T00:00:00.000Z'))
    expect(parseWhere({ at: { in: [new Date(0)] } }, trusted)).toEqual(compare('at', 'eq', '1970-01-01T00:00:00.000Z'))
    expect(parseWhere({ at: { gt: new Date(0) } }, trusted)).toEqual(compare('at', 'gt', '1970-01-01T00:00:00.000Z'))
    expect(parseWhere({ big: 2n ** 63n - 1n }, trusted)).toEqual(compare('big', 'eq', '9223372036854775807'))
  })

  test('is refused where a mistake would widen or empty it', () => {
    expect(refusal({ rank: undefined }, trusted)).toBe('where.rank: expected a whole number below 2^53')
    expect(refusal(undefined, trusted)).toMatch('expected an object')
    expect(refusal({ at: new Date(Number.NaN) }, trusted)).toMatch('expected a date')
    expect(refusal({ at: new Date(8.64e15) }, trusted)).toMatch('expected a date')
    expect(refusal({ big: 2n ** 63n }, trusted)).toMatch('expected a 64-bit whole number')
    expect(refusal({ rank: 1n }, trusted)).toMatch('expected a whole number')
    expect(refusal({ name: new Date(0) }, trusted)).toBe('where.name: expected a string')
    expect(refusal({ owner: 1 }, trusted)).toMatch("unknown field 'owner'")
  })
})

describe('a lookup with the name of its field', () => {
  const named: ParseWhereOptions = {
    types: fieldTypes,
    lookups: {
      name: { field: 'name', operator: 'startsWith', ignoreCase: true },
      rank: { field: 'rank', operator: 'in' },
    },
  }

  test('takes bare values', () => {
    const prefix = { type: 'compare', field: 'name', operator: 'startsWith', value: 'an', ignoreCase: true }
    expect(parseWhere({ name: 'an' }, named)).toEqual(prefix)
    expect(parseWhere({ rank: [1, 2] }, named)).toEqual(compare('rank', 'in', [1, 2]))
    expect(refusal({ name: 1 }, named)).toBe('where.name: expected a string')
  })

  test('leaves null and operators to the field', () => {
    expect(parseWhere({ name: { eq: 'an' } }, named)).toEqual(compare('name', 'eq', 'an'))
    expect(parseWhere({ name: null }, named)).toEqual(compare('name', 'isNull', true))
    expect(parseWhere({ rank: { gt: 1 } }, named)).toEqual(compare('rank', 'gt', 1))
  })

  test('is accepted', () => {
    expect(() => checkLookups(named.lookups ?? {}, fieldTypes)).not.toThrow()
  })
})

describe('checkLookups', () => {
  test('accepts lookups that their fields take', () => {
    const { hidden: _, ...sound } = lookups
    expect(() => checkLookups(sound, fieldTypes)).not.toThrow()
  })

  test.each<[Record<string, Lookup>, string]>([
    [
      { rank: { field: 'name', operator: 'eq' } },
      "lookup 'rank': a lookup needs a name that is neither another field nor 'and' nor 'or'",
    ],
    [
      { or: { field: 'name', operator: 'eq' } },
      "lookup 'or': a lookup needs a name that is neither another field nor 'and' nor 'or'",
    ],
    [
      { ids: { field: 'id', operator: 'in' } },
      "lookup 'ids': there is no field 'id'; there are name, nick, rank, score, done, big, price, at, blob, extra",
    ],
    [
      { x: { field: 'rank', operator: 'startsWith' } },
      "lookup 'x': 'rank', of type integer, takes eq, ne, in, nin, lt, lte, gt, gte, isNull",
    ],
    [{ x: { field: 'extra', operator: 'in' } }, "lookup 'x': 'extra', of type json, takes eq, ne, isNull"],
    [
      { x: { field: 'name', operator: 'eq', ignoreCase: true } },
      "lookup 'x': 'ignoreCase' goes with the operator startsWith alone",
    ],
  ])('refuses %j', (wrong, message) => {
    expect(() => checkLookups(wrong, fieldTypes)).toThrow(new TypeError(message))
  })
})

test('operatorsOf names what a type takes', () => {
  expect(operatorsOf('json')).toEqual(['eq', 'ne', 'isNull'])
  expect(operatorsOf('decimal')).not.toContain('startsWith')
  expect(operatorsOf('string')).toContain('startsWith')
})
