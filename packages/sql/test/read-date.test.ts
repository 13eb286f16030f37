import { describe, expect, test } from 'vitest'
import { isDay, readDate } from '../src/read-date.ts'
import { NoWireValue, toWire } from '../src/wire-value.ts'

describe('a date of a driver', () => {
  test.each([
    ['2026-01-31 12:00:00.123456+00', 'Z', '2026-01-31T12:00:00.123Z'],
    ['2026-01-31 12:00:00+05:30', 'Z', '2026-01-31T06:30:00.000Z'],
    ['2026-01-31 12:00:00', 'Z', '2026-01-31T12:00:00.000Z'],
    ['2026-01-31 12:00:00.5', '+02:00', '2026-01-31T10:00:00.500Z'],
    ['0099-12-31 00:00:00+00', 'Z', '0099-12-31T00:00:00.000Z'],
    ['0099-12-31 00:00:00.500 +00:00', 'Z', '0099-12-31T00:00:00.500Z'],
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
