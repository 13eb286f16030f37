import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Json } from '../src/index.ts'
import { sameJson } from '../src/same-json.ts'

test('values are the same as themselves in another copy, whatever the order of their members', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const copy = JSON.parse(JSON.stringify(value)) as Json
      expect(sameJson(value as Json, copy)).toBe(true)
    }),
  )
  expect(sameJson({ a: 1, b: [{ c: null }] }, { b: [{ c: null }], a: 1 })).toBe(true)
})

test.each<[Json | undefined, Json | undefined]>([
  [1, '1'],
  [null, undefined],
  [null, {}],
  [[], {}],
  [[1], [1, 2]],
  [{ a: 1 }, { a: 1, b: 2 }],
  [{ a: 1 }, { b: 1 }],
  [{ toString: null }, { valueOf: null }],
  [[{ a: [1] }], [{ a: [2] }]],
  [false, 0],
])('%j is not %j', (a, b) => {
  expect(sameJson(a, b)).toBe(false)
  expect(sameJson(b, a)).toBe(false)
})
