import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { byteLength } from '../src/byte-length.ts'

test('counts the bytes that a text is written in', () => {
  const text = fc.string({
    unit: fc.constantFrom('a', '\x7f', '\x80', '\u07ff', '\u0800', '\uffff', '😀', '\ud83d', '\ude00'),
  })
  fc.assert(fc.property(text, (value) => byteLength(value) === new TextEncoder().encode(value).length))
  expect(byteLength(new Uint8Array(3))).toBe(3)
})
