import { type ChangeSource, allowAny, createApi, defineResource, memoryStore } from '@rtapi/core'
import { connect } from '@rtapi/testing'
import { expect, test } from 'vitest'

const late: ChangeSource = { late: true, start: () => undefined, stop: () => undefined }

/** What the reply to a write says to a client with a view and to one without. */
async function repliesWith(sources: (store: ChangeSource) => readonly ChangeSource[]) {
  const store = memoryStore({ entity: 'Note', fields: { id: 'integer', text: 'string' } })
  const notes = defineResource('notes', { store, input: { create: ['text'] }, permissions: [allowAny] })
  const api = createApi({ resources: [notes], changes: sources(store) })
  const [viewer, other] = [await connect(api), await connect(api)]
  await viewer.subscribe({ resource: 'notes' })
  const write = { resource: 'notes', action: 'create', data: { text: 'x' } }
  const replies = [await viewer.request(write), await other.request(write)]
  await api.close()
  return replies.map((reply) => (reply.ok ? reply.pending : reply.error))
}

test('where all sources are late, the reply to a write says to who has views that they may not contain it yet', async () => {
  expect(await repliesWith(() => [late])).toEqual([true, undefined])
})

test('beside a late source, one that emits in time keeps replies back until views contain the write', async () => {
  expect(await repliesWith((store) => [store, late])).toEqual([undefined, undefined])
})

test('an API without sources says nothing of the kind', async () => {
  expect(await repliesWith(() => [])).toEqual([undefined, undefined])
})
