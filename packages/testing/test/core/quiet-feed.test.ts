import { allowAny, createApi, defineResource, memoryStore } from '@rtapi/core'
import { connect, fakeClock } from '@rtapi/testing'
import { expect, test } from 'vitest'

type Note = { id: number; topicId: number }

test('a view to which nothing happens stays resumable while its group is busy', async () => {
  const clock = fakeClock()
  const store = memoryStore<Note>({
    entity: 'Note',
    fields: { id: 'integer', topicId: 'integer' },
    rows: [{ id: 1, topicId: 1 }],
  })
  const notes = defineResource('notes', { store, permissions: [allowAny] })
  const api = createApi({ resources: [notes], changes: [store], clock })
  const client = await connect(api)
  const view = await client.subscribe({ resource: 'notes', where: { topicId: 1 } })
  // Far more than the log of a group holds.
  for (let i = 0; i < 50; i++) {
    for (let n = 0; n < 20; n++) store.create({ topicId: 2 })
    await clock.advance(1_000)
  }
  await client.close()
  const again = await connect(api)
  const resumed = await again.resubscribe(view)
  expect(resumed.resets).toEqual([])
  expect(resumed.rows).toEqual([{ id: 1, topicId: 1 }])
  await again.close()
  await api.close()
})
