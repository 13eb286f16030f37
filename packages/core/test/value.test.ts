import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  type FieldType,
  type Json,
  type OrderTerm,
  compareRows,
  compareValues,
  isComparable,
  isWellFormed,
  keyId,
  keyOf,
  parseValue,
} from '../src/value.ts'
import { fieldTypes, rows, valuesOf } from './support/filters.ts'

const types: readonly FieldType[] = ['string', 'integer', 'number', 'boolean', 'bigint', 'decimal', 'date']

/** Values of a type as rows hold them. */
const anyValue: Record<string, fc.Arbitrary<Json>> = {
  string: fc.oneof(valuesOf('string'), fc.string({ unit: 'binary' }).filter(isWellFormed)),
  integer: fc.oneof(valuesOf('integer'), fc.maxSafeInteger()),
  number: fc.oneof(valuesOf('number'), fc.double({ noNaN: true, noDefaultInfinity: true })),
  boolean: fc.boolean(),
  bigint: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String),
  decimal: fc.oneof(valuesOf('decimal').map(String), fc.stringMatching(/^-?\d{1,20}(\.\d{1,20})?$/)),
  date: fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
}

describe.each(types)('compareValues of type %s is a total order', (type) => {
  const value = fc.option(anyValue[type] ?? fc.constant(null), { freq: 8 })
  const sign = (a: Json | undefined, b: Json | undefined): number => Math.sign(compareValues(type, a, b))

  test('equal to itself, antisymmetric, transitive, null and undefined at its bottom', () => {
    fc.assert(
      fc.property(value, value, value, (a, b, c) => {
        expect(sign(a, a)).toBe(0)
        expect(sign(a, b)).toBe(0 - sign(b, a))
        if (sign(a, b) <= 0 && sign(b, c) <= 0) expect(sign(a, c)).toBeLessThanOrEqual(0)
        if (sign(a, b) === 0) expect(sign(a, c)).toBe(sign(b, c))
        expect(sign(null, a)).toBe(a === null ? 0 : -1)
        expect(sign(undefined, a)).toBe(sign(null, a))
        expect(sign(a, undefined)).toBe(sign(a, null))
      }),
      { numRuns: 300 },
    )
  })
})

describe('compareValues', () => {
  test.each<[FieldType, Json, Json]>([
    ['string', '', 'a'],
    ['string', 'B', 'a'],
    ['string', 'a', 'aa'],
    ['string', '\u{d7ff}', '\u{e000}'],
    ['string', '\u{ffff}', '\u{10000}'],
    ['string', '😀', '😁'],
    ['string', 'e\u0301', 'é'],
    ['integer', -2, -1],
    ['integer', 9, 10],
    ['boolean', false, true],
    ['bigint', '-10', '-9'],
    ['bigint', '9', '10'],
    ['bigint', '9007199254740992', '9007199254740993'],
    ['decimal', '-1.50', '-1.25'],
    ['decimal', '9.99', '10'],
    ['decimal', '0.1', '0.10000000000000000000000000000000000001'],
    ['decimal', '-0.1', '0.0'],
    ['date', '1969-12-31T23:59:59.999Z', '1970-01-01T00:00:00.000Z'],
    ['date', '9999-12-31T23:59:59.999Z', '+010000-01-01T00:00:00.000Z'],
    ['json', null, 'a'],
  ])('of type %s puts %j below %j', (type, low, high) => {
    expect(compareValues(type, low, high)).toBeLessThan(0)
    expect(compareValues(type, high, low)).toBeGreaterThan(0)
  })

  test.each<[FieldType, Json, Json]>([
    ['decimal', '1.50', '1.5'],
    ['decimal', '-0.0', '0'],
    ['decimal', '007', '7'],
    ['number', -0, 0],
    ['date', '2026-01-01T01:00:00+01:00', '2026-01-01T00:00:00.000Z'],
  ])('of type %s holds %j and %j equal', (type, a, b) => {
    expect(compareValues(type, a, b)).toBe(0)
  })

  test('orders text as sorting by code point does', () => {
    const text = fc.string({ unit: 'binary' }).filter(isWellFormed)
    fc.assert(
      fc.property(text, text, (a, b) => {
        const bytes = Buffer.compare(Buffer.from(a), Buffer.from(b))
        expect(Math.sign(compareValues('string', a, b))).toBe(bytes)
      }),
      { numRuns: 300 },
    )
  })
})

describe('parseValue', () => {
  test.each<[FieldType, unknown, Json]>([
    ['string', '', ''],
    ['string', '😀 é', '😀 é'],
    ['boolean', false, false],
    ['integer', 0, 0],
    ['integer', 9_007_199_254_740_991, 9_007_199_254_740_991],
    ['integer', 1.0, 1],
    ['number', 1.5, 1.5],
    ['number', 5e-324, 5e-324],
    ['number', 9_007_199_254_740_991, 9_007_199_254_740_991],
    ['bigint', '9223372036854775807', '9223372036854775807'],
    ['bigint', '-9223372036854775808', '-9223372036854775808'],
    ['bigint', '0'.repeat(39) + '7', '7'],
    ['bigint', '-0', '0'],
    ['bigint', 12, '12'],
    ['decimal', '1.50', '1.5'],
    ['decimal', '-007.0', '-7'],
    ['decimal', '-0.00', '0'],
    ['decimal', '9'.repeat(40), '9'.repeat(40)],
    ['decimal', `-${'9'.repeat(20)}.${'9'.repeat(20)}`, `-${'9'.repeat(20)}.${'9'.repeat(20)}`],
    ['decimal', 1.5, '1.5'],
    ['decimal', 0.1, '0.1'],
    ['date', '2026-01-31', '2026-01-31T00:00:00.000Z'],
    ['date', '2026-01-31T12:00Z', '2026-01-31T12:00:00.000Z'],
    ['date', '2026-01-31T12:00:00.5+01:30', '2026-01-31T10:30:00.500Z'],
    ['date', '2024-02-29T00:00:00Z', '2024-02-29T00:00:00.000Z'],
    ['date', '0001-01-01T00:00:00Z', '0001-01-01T00:00:00.000Z'],
    ['date', '9999-12-31T23:59:59.999Z', '9999-12-31T23:59:59.999Z'],
  ])('reads the %s %j as %j', (type, value, canonical) => {
    expect(parseValue(type, value)).toStrictEqual({ value: canonical })
  })

  test('negative zero has no sign', () => {
    expect(parseValue('integer', -0)).toStrictEqual({ value: 0 })
    expect(parseValue('number', -0)).toStrictEqual({ value: 0 })
    expect(parseValue('decimal', -0)).toStrictEqual({ value: '0' })
    expect(parseValue('bigint', -0)).toStrictEqual({ value: '0' })
  })

  test.each<[FieldType, unknown]>([
    ['string', 1],
    ['string', ['a']],
    ['string', { toString: 'a' }],
    ['string', 'a\0b'],
    ['string', '\ud800'],
    ['string', '\udc00\ud800'],
    ['boolean', 0],
    ['boolean', 'true'],
    ['integer', 1.5],
    ['integer', 9_007_199_254_740_992],
    ['integer', -9_007_199_254_740_992],
    ['integer', Number.POSITIVE_INFINITY],
    ['integer', Number.NaN],
    ['integer', '1'],
    ['number', JSON.parse('1e400')],
    ['number', Number.NaN],
    ['number', 'NaN'],
    ['number', 9_007_199_254_740_992],
    ['number', 1e300],
    ['bigint', '9223372036854775808'],
    ['bigint', '-9223372036854775809'],
    ['bigint', 9_007_199_254_740_992],
    ['bigint', 1.5],
    ['bigint', '1.0'],
    ['bigint', '0x10'],
    ['bigint', ''],
    ['bigint', ' 1'],
    ['bigint', '+1'],
    ['bigint', '1n'],
    ['bigint', '١'],
    ['bigint', '1\n'],
    ['bigint', '0'.repeat(41)],
    ['decimal', 'NaN'],
    ['decimal', 'Infinity'],
    ['decimal', '1e3'],
    ['decimal', 1e21],
    ['decimal', Number.NaN],
    ['decimal', '.5'],
    ['decimal', '5.'],
    ['decimal', '1,5'],
    ['decimal', '9'.repeat(41)],
    ['decimal', `${'9'.repeat(21)}.${'9'.repeat(21)}`],
    ['decimal', true],
    ['date', 0],
    ['date', 'now'],
    ['date', '2026'],
    ['date', '2026-01'],
    ['date', '2026-01-31 12:00:00Z'],
    ['date', '2026-01-31T12:00:00'],
    ['date', '2026-13-01'],
    ['date', '2026-02-30'],
    ['date', '2025-02-29T00:00:00Z'],
    ['date', '2026-04-31T12:00:00+02:00'],
    ['date', '2026-01-31T25:00:00Z'],
    ['date', '2026-01-31T12:00:60Z'],
    ['date', '2026-01-31T12:00:00+24:00'],
    ['date', '0000-01-01'],
    ['date', '0001-01-01T00:00:00+14:00'],
    ['date', '9999-12-31T23:59:59-01:00'],
    ['date', '+010000-01-01T00:00:00Z'],
    ['date', '1000000000-01-01T00:00:00Z'],
    ['date', '-000001-01-01T00:00:00Z'],
    ['date', new Date(0)],
    ['json', {}],
    ['json', 'a'],
    ['bytes', 'AA=='],
  ])('refuses the %s %j', (type, value) => {
    expect(parseValue(type, value)).toStrictEqual({ problem: expect.stringMatching(/./) as string })
  })

  test.each<FieldType>([...types, 'json', 'bytes'])('takes null for the type %s', (type) => {
    expect(parseValue(type, null)).toStrictEqual({ value: null })
    expect(parseValue(type, undefined)).toHaveProperty('problem')
  })

  test('a number of a million digits costs nothing', () => {
    const digits = '9'.repeat(1_000_000)
    const before = performance.now()
    for (let i = 0; i < 50; i++) {
      expect(parseValue('bigint', digits)).toHaveProperty('problem')
      expect(parseValue('decimal', digits)).toHaveProperty('problem')
      expect(parseValue('decimal', `1.${digits}`)).toHaveProperty('problem')
      expect(parseValue('date', digits)).toHaveProperty('problem')
    }
    // Making one such BigInt takes a quarter of a second: this would take a minute.
    expect(performance.now() - before).toBeLessThan(5_000)
  })

  test('what it answers is canonical: read again it stays, and it is equal to what was read', () => {
    for (const type of types) {
      fc.assert(
        fc.property(valuesOf(type), (value) => {
          const parsed = parseValue(type, value)
          if ('problem' in parsed) throw new Error(`${type} ${JSON.stringify(value)}: ${parsed.problem}`)
          expect(parseValue(type, parsed.value)).toStrictEqual(parsed)
          expect(compareValues(type, parsed.value, typeof value === 'number' ? parsed.value : value)).toBe(0)
        }),
      )
    }
  })
})

test('isComparable is false where there is no order', () => {
  expect(types.every(isComparable)).toBe(true)
  expect(isComparable('json')).toBe(false)
  expect(isComparable('bytes')).toBe(false)
})

describe('keys', () => {
  test('keyOf reads the key fields in their order', () => {
    expect(keyOf({ id: 7, name: 'a' }, ['id'])).toBe(7)
    expect(keyOf({ a: 'x', b: 1 }, ['b', 'a'])).toEqual([1, 'x'])
  })

  test.each([null, true, undefined, { a: 1 }])('keyOf refuses a key that is %j', (id) => {
    const row = id === undefined ? {} : { id }
    expect(() => keyOf(row, ['id'])).toThrow(/^key field 'id' holds /)
  })

  test('keyId tells keys of one shape apart', () => {
    const part = fc.oneof(fc.string(), fc.integer())
    const composite = fc.tuple(part, part)
    fc.assert(
      fc.property(composite, composite, (a, b) => {
        expect(keyId(a) === keyId(b)).toBe(a[0] === b[0] && a[1] === b[1])
      }),
    )
    expect(keyId('7')).toBe('7')
    expect(keyId(7)).toBe(7)
  })
})

test('compareRows takes the first field that differs, in its direction', () => {
  const order: OrderTerm[] = [
    ['rank', 'desc', 'integer'],
    ['name', 'asc', 'string'],
  ]
  const sorted = [
    { rank: 2, name: null },
    { rank: 2, name: 'B' },
    { rank: 2, name: 'a' },
    { rank: 1, name: 'a' },
    { rank: null, name: 'a' },
  ]
  expect(sorted.toReversed().sort((a, b) => compareRows(order, a, b))).toEqual(sorted)

  const anyOrder = fc.uniqueArray(fc.constantFrom(...Object.entries(fieldTypes)), { maxLength: 3 })
  fc.assert(
    fc.property(anyOrder, rows, rows, (fields, a, b) => {
      const terms = fields
        .filter(([, type]) => isComparable(type))
        .map(([field, type], i): OrderTerm => [field, i % 2 === 0 ? 'asc' : 'desc', type])
      expect(Math.sign(compareRows(terms, a, b))).toBe(0 - Math.sign(compareRows(terms, b, a)))
      expect(compareRows(terms, a, a)).toBe(0)
    }),
  )
})

test('isWellFormed is what survives UTF-8, but for NUL', () => {
  const unit = fc.constantFrom('a', '\ud83d', '\ude00', '\0', 'é', '\ue000')
  fc.assert(
    fc.property(fc.array(unit), (units) => {
      const text = units.join('')
      expect(isWellFormed(text)).toBe(Buffer.from(text).toString() === text && !text.includes('\0'))
    }),
    { numRuns: 500 },
  )
})
