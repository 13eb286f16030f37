import { compareValues } from '@rtapi/core'
import { assert, double, property } from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decimalText } from '../src/decimal-text.ts'
import { isDay, readDate } from '../src/read-date.ts'
import { NoWireValue, toWire } from '../src/wire-value.ts'

describe('the text of a number', () => {
  test.each([
    [0.1, '0.1'],
    [-0.5, '-0.5'],
    [1e21, '1000000000000000000000'],
    [1.5e21, '1500000000000000000000'],
    [1e-7, '0.0000001'],
    [-1.25e-9, '-0.00000000125'],
    [123456789012345680, '123456789012345680'],
  ])('%d', (number, text) => {
    expect(decimalText(number)).toBe(text)
  })

  test('has no exponent and is the same number', () => {
    assert(
      property(double({ noNaN: true, noDefaultInfinity: true }), (number) => {
        const text = decimalText(number)
        expect(text).toMatch(/^-?\d+(\.\d+)?$/)
        expect(Number(text)).toBe(number + 0)
      }),
    )
  })

  test('is ordered as the numbers are', () => {
    const number = double({ noNaN: true, noDefaultInfinity: true, min: -1e30, max: 1e30 })
    assert(
      property(number, number, (a, b) => {
        expect(Math.sign(compareValues('decimal', decimalText(a), decimalText(b)))).toBe(Math.sign(a - b))
      }),
    )
  })
})

describe('a date of a driver', () => {
  test.each([
    ['2026-01-31 12:00:00.123456+00', 'Z', '2026-01-31T12:00:00.123Z'],
    ['2026-01-31 12:00:00+05:30', 'Z', '2026-01-31T06:30:00.000Z'],
    ['2026-01-31 12:00:00', 'Z', '2026-01-31T12:00:00.000Z'],
    ['2026-01-31 12:00:00.5', '+02:00', '2026-01-31T10:00:00.500Z'],
    ['0099-12-31 00:00:00+00', 'Z', '0099-12-31T00:00:00.000Z'],
  ])('%s in %s', (text, timezone, expected) => {
    expect(toWire('date', readDate(text, timezone))).toBe(expected)
  })

  test('that is a number of milliseconds', () => {
    expect(toWire('date', readDate(1_769_860_800_000, undefined))).toBe('2026-01-31T12:00:00.000Z')
  })

  test('that is none has no wire form', () => {
    expect(() => toWire('date', readDate('0000-00-00 00:00:00', 'Z'))).toThrow(NoWireValue)
  })
})

test.each([
  ['2026-01-31', true],
  ['2024-02-29', true],
  ['2026-02-29', false],
  ['2026-1-31', false],
  ['0000-01-01', false],
  ['2026-01-31T00:00', false],
])('%s is a day: %s', (text, expected) => {
  expect(isDay(text)).toBe(expected)
})

test('objects that look like SQL are not taken for it', () => {
  const marker = JSON.parse('{"__raw": true, "sql": "drop table"}') as unknown
  expect(toWire('json', marker)).toEqual({ __raw: true, sql: 'drop table' })
  expect(() => toWire('string', marker)).toThrow(NoWireValue)
})
