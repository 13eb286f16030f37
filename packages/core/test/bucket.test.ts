import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { Bucket } from '../src/bucket.ts'

test('holds what a set would hold', () => {
  const values = Array.from({ length: 4 }, (_, name) => ({ name }))
  const steps = fc.array(fc.tuple(fc.constantFrom(...values), fc.boolean()))
  fc.assert(
    fc.property(fc.constantFrom(...values), steps, (first, steps) => {
      const bucket = new Bucket(first)
      const model = new Set([first])
      for (const [value, added] of steps) {
        if (added) bucket.add(value)
        else bucket.delete(value)
        if (added) model.add(value)
        else model.delete(value)
        const found: object[] = []
        bucket.visit((value) => found.push(value))
        expect(bucket.size).toBe(model.size)
        expect(found).toHaveLength(model.size)
        expect(new Set(found)).toEqual(model)
      }
    }),
  )
})
