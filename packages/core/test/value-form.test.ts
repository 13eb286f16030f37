import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type FieldType, type Json, compareValues } from '../src/value.ts'
import { foldCase, formOf, formOrder } from '../src/value-form.ts'

const digits = fc.stringMatching(/^\d{1,45}$/)
const sign = fc.constantFrom('', '-')

const values: Partial<Record<FieldType, fc.Arbitrary<Json>>> = {
  string: fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.string({ unit: fc.constantFrom('a', '\u{d7ff}', '\u{e000}', '\u{ffff}', '😀', '😁') }),
  ),
  integer: fc.maxSafeInteger(),
  number: fc.double({ noNaN: true, noDefaultInfinity: true }),
  boolean: fc.boolean(),
  bigint: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String),
  decimal: fc.oneof(
    fc.tuple(sign, digits, digits).map(([sign, whole, fraction]) => `${sign}${whole}.${fraction}`),
    fc.tuple(sign, digits).map(([sign, whole]) => sign + whole),
    fc
      .tuple(sign, fc.constantFrom('0', '00', '1', '10', '9'), fc.constantFrom('', '.0', '.5', '.50', '.05', '.9'))
      .map((parts) => parts.join('')),
  ),
  date: fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
}

describe.each(Object.entries(values) as [FieldType, fc.Arbitrary<Json>][])('forms of type %s', (type, value) => {
  test('are ordered as the values are, and identical exactly if these are equal', () => {
    fc.assert(
      fc.property(value, value, (a, b) => {
        const wanted = Math.sign(compareValues(type, a, b))
        const [x, y] = [formOf(type, a), formOf(type, b)]
        expect(Math.sign(formOrder(type)(x, y))).toBe(wanted)
        expect(new Set([x]).has(y)).toBe(wanted === 0)
        expect(Number(x > y) - Number(x < y)).toBe(wanted)
      }),
      { numRuns: 500 },
    )
  })
})

test('foldCase changes the letters A to Z and nothing else', () => {
  expect(foldCase('AZaz09 ÉİK\u{212a}ß@[`{')).toBe('azaz09 Éİk\u{212a}ß@[`{')
})
