import { compareValues } from '@rtapi/core'
import { assert, double, property } from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decimalText } from '../src/decimal-text.ts'

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
        // Zero has one sign here.
        expect(Math.sign(compareValues('decimal', decimalText(a), decimalText(b))) + 0).toBe(Math.sign(a - b) + 0)
      }),
    )
  })
})
