import {
  type Api,
  type LayerEvents,
  type MemoryStore,
  createApi,
  defineResource,
  memoryLayer,
  memoryStore,
} from '@rtapi/core'
import { type FakeClock, TestClient, fakeClock } from '@rtapi/testing'
import { beforeEach, describe, expect, test } from 'vitest'
import { seededRandom } from '../../src/seeded-random.ts'
import { Scheduler, scheduledStore } from './scheduled.ts'

type Note = { id: number; topicId: number }

let clock: FakeClock
let scheduler: Scheduler
let notes: MemoryStore<Note>
let api: Api
let layerEvents: LayerEvents | undefined
let client: TestClient
/** Rows up to here do not exist for anybody. */
let hidden: number
const reports: unknown[] = []

/** Everything that a subscription waits for takes its steps, in the order of the seed. */
async function open(seed: number): Promise<void> {
  hidden = 0
  clock = fakeClock()
  scheduler = new Scheduler(seededRandom(seed))
  notes = memoryStore<Note>({
    entity: 'Note',
    fields: { id: 'integer', topicId: 'integer' },
    rows: [1, 2, 3].map((id) => ({ id, topicId: id % 2 })),
  })
  const layer = memoryLayer({ clock })
  api = createApi({
    resources: [
      defineResource('notes', {
        store: scheduledStore(notes, scheduler),
        permissions: [{ scope: () => scheduler.call(() => ({ id: { gt: hidden } })) }],
      }),
    ],
    changes: [notes],
    clock,
    authenticate: ({ token }) => scheduler.call(() => ({ user: { id: String(token) } })),
    layer: {
      open: (events) => {
        layerEvents = events
        return layer.open(events)
      },
      join: (group) => scheduler.call(() => layer.join(group)),
      leave: (group) => scheduler.call(() => layer.leave(group)),
      publish: (group, entry) => scheduler.call(() => layer.publish(group, entry)),
      history: (group, since) => scheduler.call(() => layer.history(group, since)),
      close: () => layer.close(),
    },
    limits: { rate: 1e9, burst: 1e9 },
    report: (error) => reports.push(error),
  })
  await quiesce()
  client = new TestClient(api, {})
  client.send({ type: 'hello', versions: [1], token: 'ada' })
  await quiesce()
}

async function steps(count: number): Promise<boolean> {
  await clock.settle()
  for (let i = 0; i < count; i++) {
    if (scheduler.size === 0) return false
    scheduler.step()
    await clock.settle()
  }
  return scheduler.size > 0
}

async function quiesce(): Promise<void> {
  while (await steps(1));
}

/** What came about this subscription, in order. */
const told = (id: string): readonly string[] =>
  client.messages.flatMap((message) => ('id' in message && message.id === id ? [message.type] : []))

/** The rows of a subscription as a client shows them, by key; `undefined` before it is whole and after its end. */
function rowsOf(id: string): readonly unknown[] | undefined {
  const rows = new Map<number, unknown>()
  let feed: string | undefined
  for (const message of client.messages) {
    if (message.type === 'snapshot' && message.id === id) {
      rows.clear()
      feed = message.feed
      for (const { key, data } of message.rows) rows.set(Number(key), data)
    } else if (message.type === 'changes' && message.feed === feed) {
      for (const { key, data } of message.changes) {
        if (data === undefined) rows.delete(Number(key))
        else rows.set(Number(key), data)
      }
    } else if ((message.type === 'end' || message.type === 'reset') && message.id === id) feed = undefined
  }
  return feed === undefined ? undefined : [...rows].sort(([a], [b]) => a - b).map(([, row]) => row)
}

/** Nothing is left of anything, but the group of the sessions. */
async function nothingIsLeft(): Promise<void> {
  await client.close()
  await quiesce()
  expect(api.stats()).toEqual({ connections: 0, subscriptions: 0, feeds: 0, groups: 1, timers: 0 })
  expect(clock.timers).toBe(0)
  await api.close()
  expect(reports).toEqual([])
}

beforeEach(() => {
  reports.length = 0
})

const subscribe = (id: string, rest: object = {}): void =>
  client.send({ type: 'subscribe', id, resource: 'notes', ...rest })

/** Does something after each number of steps of a beginning subscription, until it begins in fewer. */
async function atEachStep(act: () => void, then: (label: string) => Promise<void>): Promise<number> {
  let points = 0
  for (let seed = 1; seed <= 4; seed++) {
    for (let count = 0; ; count++) {
      await open(seed)
      subscribe('a')
      const isUnderway = await steps(count)
      act()
      await quiesce()
      await then(`seed ${seed}, after ${count} steps`)
      if (count > 0 && !isUnderway) break
      points++
    }
  }
  return points
}

describe('at any moment of its beginning', () => {
  test('an end is the last that is heard of a subscription', async () => {
    const points = await atEachStep(
      () => client.send({ type: 'unsubscribe', id: 'a' }),
      async (label) => {
        expect(
          told('a').filter((type) => type === 'end'),
          label,
        ).toHaveLength(1)
        expect(told('a').at(-1), label).toBe('end')
        notes.create({ topicId: 1 })
        await quiesce()
        expect(told('a').at(-1), label).toBe('end')
        expect(api.stats(), label).toMatchObject({ subscriptions: 0, feeds: 0 })
        await nothingIsLeft()
      },
    )
    expect(points).toBeGreaterThan(12)
  })

  test('an end and a new beginning under the same id are one whole view', async () => {
    await atEachStep(
      () => {
        client.send({ type: 'unsubscribe', id: 'a' })
        subscribe('a', { where: { topicId: 1 } })
      },
      async (label) => {
        expect(told('a').slice(-2), label).toEqual(['end', 'snapshot'])
        const snapshot = client.messages.findLast((message) => message.type === 'snapshot')
        expect(
          snapshot?.rows.map(({ key }) => key),
          label,
        ).toEqual([1, 3])
        expect(api.stats(), label).toMatchObject({ subscriptions: 1, feeds: 1 })
        await nothingIsLeft()
      },
    )
  })

  test('a lost link leaves nothing', async () => {
    await atEachStep(
      () => void client.close(),
      async (label) => {
        expect(api.stats(), label).toEqual({ connections: 0, subscriptions: 0, feeds: 0, groups: 1, timers: 0 })
        await nothingIsLeft()
      },
    )
  })

  test.each<[string, () => void]>([
    ['a refresh of the session', () => void api.sessions.refresh({ user: 'ada' })],
    ['two of them', () => [1, 2].forEach(() => void api.sessions.refresh({ user: 'ada' }))],
    ['a break of the layer', () => layerEvents?.lost()],
    ['two of them', () => [1, 2].forEach(() => layerEvents?.lost())],
    [
      'a twin that goes',
      () => {
        subscribe('twin')
        client.send({ type: 'unsubscribe', id: 'twin' })
      },
    ],
    ['changes', () => notes.update(1, { topicId: 0 })],
  ])('%s lets it come to a whole view that lives', async (_name, act) => {
    await atEachStep(act, async (label) => {
      notes.create({ id: 9, topicId: 1 })
      notes.delete(2)
      await quiesce()
      expect(rowsOf('a'), label).toEqual(notes.find())
      expect(told('a'), label).not.toContain('end')
      await nothingIsLeft()
    })
  })
})

describe('at any moment of a refresh', () => {
  const end = (id: string): void => client.send({ type: 'unsubscribe', id })
  const acts: readonly (readonly [string, readonly string[], () => void])[] = [
    ['nothing', ['a', 'b'], () => undefined],
    ['an end of the first of two twins', ['b'], () => end('a')],
    ['an end of the second', ['a'], () => end('b')],
    ['an end of both', [], () => ['a', 'b'].forEach(end)],
    ['a lost link', [], () => void client.close()],
    ['a change', ['a', 'b'], () => notes.create({ id: 9, topicId: 1 })],
    ['a change of what is hidden', ['a', 'b'], () => notes.update(1, { topicId: 7 })],
    ['a third twin', ['a', 'b', 'c'], () => subscribe('c')],
    ['another refresh', ['a', 'b'], () => void api.sessions.refresh({ user: 'ada' })],
  ]
  test.each(acts.flatMap(([name, left, act]) => [0, 1, 3].map((hides) => ({ name, left, act, hides }))))(
    '$name leaves what is right, where the refresh hides rows up to $hides',
    async ({ left, act, hides }) => {
      for (let seed = 1; seed <= 4; seed++) {
        for (let count = 0; ; count++) {
          await open(seed)
          subscribe('a')
          subscribe('b')
          await quiesce()
          hidden = hides
          void api.sessions.refresh({ user: 'ada' })
          const isUnderway = await steps(count)
          act()
          await quiesce()
          const label = `seed ${seed}, after ${count} steps`
          const visible = notes.find().filter(({ id }) => id > hides)
          for (const id of ['a', 'b', 'c']) {
            expect(told(id), label).not.toContain('reset')
            if (left.includes(id)) expect(rowsOf(id), `${id}, ${label}`).toEqual(visible)
            else if (told(id).includes('end')) expect(told(id).indexOf('end'), label).toBe(told(id).length - 1)
          }
          await nothingIsLeft()
          if (count > 0 && !isUnderway) break
        }
      }
    },
  )
})
