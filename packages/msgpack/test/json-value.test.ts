import { expect, test } from 'vitest'
import { isJson, toJson } from '../src/json-value.ts'

test.each([null, true, 'a😀', -0, [1, [2]], { a: { b: null } }, { a: undefined }, Object.create(null)])(
  'a plain value is written as it is (%#)',
  (value) => {
    expect(isJson(value)).toBe(true)
  },
)

test.each([
  Number.NaN,
  'a\uD800',
  { '\uDC00': 1 },
  [[new Date(0)]],
  { a: new Uint8Array(1) },
  new (class Own {
    x = 1
  })(),
  { toJSON: () => 1 },
  1n,
  () => 1,
])('anything else is not (%#)', (value) => {
  expect(isJson(value)).toBe(false)
})

test('a value that holds itself is in doubt, not an endless walk', () => {
  const circle: unknown[] = []
  circle.push(circle)
  expect(isJson(circle)).toBe(false)
})

test('what JSON leaves out altogether is an error', () => {
  expect(() => toJson(undefined)).toThrow('a frame cannot hold a undefined')
  expect(() => toJson(() => 1)).toThrow(TypeError)
})
