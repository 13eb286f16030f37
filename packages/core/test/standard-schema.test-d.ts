import type { StandardSchemaV1 } from '@standard-schema/spec'
import { expectTypeOf, test } from 'vitest'
import type { StandardSchema } from '../src/standard-schema.ts'

test('the schemas of the specification are ours', () => {
  expectTypeOf<StandardSchemaV1<{ a: string }, { a: number }>>().toExtend<
    StandardSchema<{ a: string }, { a: number }>
  >()
})
