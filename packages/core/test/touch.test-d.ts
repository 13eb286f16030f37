import { expectTypeOf, test } from 'vitest'
import type { Api } from '../src/api.ts'
import { createApi } from '../src/create-api.ts'
import { memoryStore } from '../src/memory-store.ts'
import { defineResource } from '../src/resource.ts'

const store = memoryStore<{ id: number; topicId: number; secret: string }>({
  entity: 'Comment',
  fields: { id: 'integer', topicId: 'integer', secret: 'string' },
})
const comments = defineResource('comments', {
  store,
  fields: ['id', 'topicId'],
  lookups: { ids: { field: 'id', operator: 'in' } },
  permissions: [],
})
const topics = defineResource('topics', { store, permissions: [] })

test('touch takes the names of the resources, and filters as clients write them', () => {
  const api = createApi({ resources: [comments, topics] })
  expectTypeOf(api.touch('comments')).toEqualTypeOf<Promise<void>>()
  void api.touch('comments', { topicId: { in: [7, 8] }, ids: [1, 2] })
  void api.touch('topics', { secret: 'x' })
  // @ts-expect-error there is no such resource
  void api.touch('comment')
  // @ts-expect-error there is no such field
  void api.touch('comments', { topic: 7 })
  // @ts-expect-error the field is not exposed by this resource
  void api.touch('comments', { secret: 'x' })
  // @ts-expect-error a topic is a number
  void api.touch('topics', { topicId: '7' })
})

test('an API of any resources is one that transports take', () => {
  expectTypeOf(createApi({ resources: [comments, topics] })).toExtend<Api>()
})
