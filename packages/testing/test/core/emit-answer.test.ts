import {
  type ChangeBatch,
  type ChangeSource,
  type ChannelLayer,
  type Position,
  allowAny,
  createApi,
  defineResource,
  groupBy,
  memoryLayer,
  memoryStore,
} from '@rtapi/core'
import { fakeClock } from '@rtapi/testing'
import { expect, test } from 'vitest'

const batch: ChangeBatch = {
  tx: 't1',
  changes: [{ type: 'change', entity: 'Note', key: 1, action: 'create', after: { topicId: 7 } }],
}

type Emit = Parameters<ChangeSource['start']>[0]

/** An API over a layer that publishes as told, and what its source was given. */
async function open(publish: (real: ChannelLayer) => ChannelLayer['publish']) {
  const clock = fakeClock()
  const real = memoryLayer({ clock })
  const layer: ChannelLayer = {
    open: (events) => real.open(events),
    join: (group) => real.join(group),
    leave: (group) => real.leave(group),
    publish: publish(real),
    history: (group, since) => real.history(group, since),
    close: () => real.close(),
  }
  const store = memoryStore({ entity: 'Note', fields: { id: 'integer', topicId: 'integer' } })
  const notes = defineResource('notes', { store, groups: groupBy('topicId'), permissions: [allowAny] })
  let emit: Emit | undefined
  const source: ChangeSource = { start: (given) => void (emit = given), stop: () => undefined }
  const api = createApi({ resources: [notes], changes: [source], clock, layer, report: () => undefined })
  await api.ready
  if (emit === undefined) throw new Error('the source was not started')
  return { api, emit }
}

test('emit answers at once that a layer which answers at once has taken everything', async () => {
  const { api, emit } = await open((real) => (group, entry) => real.publish(group, entry))
  expect(emit(batch)).toBe(true)
  await api.close()
})

test('emit answers when the last group of the layer has it', async () => {
  const publishing: (() => void)[] = []
  const { api, emit } = await open((real) => (group, entry) => {
    return new Promise<Position>((resolve) => publishing.push(() => resolve(real.publish(group, entry))))
  })
  const answers: unknown[] = []
  const answered = Promise.resolve(emit(batch)).then((answer) => answers.push(answer))
  expect(publishing).toHaveLength(2)
  publishing[0]?.()
  await new Promise(setImmediate)
  expect(answers).toEqual([])
  publishing[1]?.()
  await answered
  expect(answers).toEqual([true])
  await api.close()
})

test.each([
  [
    'throws',
    () => {
      throw new Error('no layer')
    },
  ],
  ['rejects', () => Promise.reject(new Error('no layer'))],
])('emit answers that something was not taken if the layer %s for one group', async (_, refuse) => {
  const { api, emit } = await open((real) => (group, entry) => {
    return group.includes('topicId') ? refuse() : real.publish(group, entry)
  })
  expect(await emit(batch)).toBe(false)
  await api.close()
})
