import { type Api, type MemoryStore, RtapiError, createApi, defineResource, memoryBus, memoryStore } from '@rtapi/core'
import { type FakeClock, type FaultyLayer, type LayerFaults, connect, fakeClock, faultyLayer } from '@rtapi/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

type Note = { id: number; topicId: number }
type Grant = { id: number; topicId: number }

let clock: FakeClock
let notes: MemoryStore<Note>
let grants: MemoryStore<Grant>
let banned: Set<string>
/** The first process announces what is written; the second one is cut off at times. */
let apis: readonly [Api, Api]
let layer: FaultyLayer

/** Opens both processes; what reaches the second one suffers these faults. */
function open(faults: LayerFaults = {}): void {
  clock = fakeClock()
  banned = new Set()
  notes = memoryStore<Note>({
    entity: 'Note',
    fields: { id: 'integer', topicId: 'integer' },
    rows: [1, 2].map((id) => ({ id, topicId: id })),
  })
  grants = memoryStore<Grant>({
    entity: 'Grant',
    fields: { id: 'integer', topicId: 'integer' },
    rows: [1, 2].map((id) => ({ id, topicId: id })),
  })
  const bus = memoryBus({ clock })
  layer = faultyLayer(bus.layer(), { seed: 1, clock, faults })
  const process = (isFirst: boolean): Api =>
    createApi({
      resources: [
        defineResource('notes', {
          store: notes,
          permissions: [{ scope: () => ({ topicId: { in: grants.find().map(({ topicId }) => topicId) } }) }],
          dependsOn: [{ entity: 'Grant' }],
        }),
      ],
      changes: isFirst ? [notes, grants] : [],
      clock,
      layer: isFirst ? bus.layer() : layer,
      authenticate({ token }) {
        if (banned.has(String(token))) throw new RtapiError('unauthenticated', 'banned')
        return { user: { id: String(token) } }
      },
      report: () => undefined,
    })
  apis = [process(true), process(false)]
}

afterEach(async () => {
  for (const api of apis) await api.close()
  expect(clock.timers).toBe(0)
})

describe('a process that is cut off from the others', () => {
  beforeEach(() => open())

  test('finds out within a minute that a session has been ended', async () => {
    const [ada, bob] = [await connect(apis[1], { token: 'ada' }), await connect(apis[1], { token: 'bob' })]
    await bob.subscribe({ resource: 'notes' })
    await clock.advance(20_000)
    layer.cut()
    banned.add('ada')
    await apis[0].sessions.end({ user: 'ada' })
    await clock.advance(61_000)
    expect(ada.closed).toMatchObject({ code: 4401 })
    expect(bob.closed).toBeUndefined()
  })

  test('and that a permission has changed', async () => {
    const ada = await connect(apis[1], { token: 'ada' })
    const view = await ada.subscribe({ resource: 'notes' })
    layer.cut()
    grants.delete(1)
    await clock.advance(61_000)
    expect(view.keys).toEqual([2])
    expect(view.end).toBeUndefined()
  })

  test('and at once when the cut is over', async () => {
    const [ada, bob] = [await connect(apis[1], { token: 'ada' }), await connect(apis[1], { token: 'bob' })]
    const view = await bob.subscribe({ resource: 'notes' })
    layer.cut()
    banned.add('ada')
    await apis[0].sessions.end({ user: 'ada' })
    grants.delete(1)
    notes.create({ id: 3, topicId: 2 })
    await clock.advance(1_000)
    layer.heal()
    await clock.advance(100)
    expect(ada.closed).toMatchObject({ code: 4401 })
    expect(view.keys).toEqual([2, 3])
  })

  test('asks nobody anew while the layer answers', async () => {
    let asked = 0
    const ada = await connect(apis[1], { token: 'ada' })
    const add = banned.has.bind(banned)
    banned.has = (token) => {
      asked++
      return add(token)
    }
    await clock.advance(300_000)
    expect([asked, ada.closed]).toEqual([0, undefined])
  })
})

test('a command whose entry was lost without a sign is obeyed within a minute', async () => {
  open({ drop: 1 })
  const ada = await connect(apis[1], { token: 'ada' })
  await apis[0].sessions.end({ user: 'ada', reason: 'logged out' })
  await clock.advance(1_000)
  expect(ada.closed).toBeUndefined()
  await clock.advance(60_000)
  expect(ada.closed).toMatchObject({ code: 4440, reason: 'logged out' })
})
