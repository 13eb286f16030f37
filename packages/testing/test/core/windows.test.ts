import { type Api, type MemoryStore, createApi, defineResource, memoryStore } from '@rtapi/core'
import { type FakeClock, type TestClient, connect, fakeClock } from '@rtapi/testing'
import { beforeEach, describe, expect, test } from 'vitest'
import { type SeededRandom, seededRandom } from '../../src/seeded-random.ts'

type Note = { id: number; topicId: number; rank: number | null; open: boolean }

let clock: FakeClock
let notes: MemoryStore<Note>
let api: Api
let client: TestClient

beforeEach(async () => {
  clock = fakeClock()
  notes = memoryStore<Note>({
    entity: 'Note',
    fields: { id: 'integer', topicId: 'integer', rank: { type: 'integer', nullable: true }, open: 'boolean' },
  })
  api = createApi({
    resources: [defineResource('notes', { store: notes, permissions: [{ scope: () => ({ open: true }) }] })],
    changes: [notes],
    clock,
  })
  client = await connect(api)
})

/** One change to a table of at most eight rows: creates, deletes, moves, hides. Ranks tie, and may be null. */
function change(random: SeededRandom): void {
  const id = 1 + random.integer(8)
  const rank = random.chance(0.2) ? null : random.integer(3)
  const [there] = notes.read([id])
  if (there === undefined) notes.create({ id, rank, topicId: 1, open: random.chance(0.8) })
  else {
    const dice = random.integer(4)
    if (dice === 0) notes.delete(id)
    else if (dice === 1) notes.update(id, { topicId: 3 - there.topicId })
    else if (dice === 2) notes.update(id, { open: !there.open })
    else notes.update(id, { rank })
  }
}

const value = ({ rank }: Note): number => rank ?? -1

describe('the first rows of an order', () => {
  const cases = [1, 2, 3, 4].flatMap((limit) => (['asc', 'desc'] as const).map((direction) => ({ limit, direction })))

  test.each(cases)('are the first $limit, $direction, after every tick of changes', async ({ limit, direction }) => {
    const random = seededRandom(limit)
    const view = await client.subscribe({
      resource: 'notes',
      where: { topicId: 1 },
      order: [['rank', direction]],
      limit,
    })
    const sign = direction === 'asc' ? 1 : -1
    for (let step = 0; step < 250; step++) {
      const before = view.keys
      const heard = view.log.length
      for (let changes = 1 + random.integer(4); changes > 0; changes--) change(random)
      await clock.settle()
      const wanted = notes
        .find()
        .filter(({ topicId, open }) => topicId === 1 && open)
        .sort((a, b) => sign * (value(a) - value(b)) || a.id - b.id)
        .slice(0, limit)
      expect(view.rows, `step ${step}`).toEqual(wanted)
      const messages = view.log.slice(heard).flatMap((message) => (message.type === 'changes' ? [message.changes] : []))
      for (const { action, key } of messages.flat()) {
        const [row] = notes.read([key])
        const label = `step ${step}: ${action} of ${JSON.stringify(key)}, ${JSON.stringify(row)}`
        // What leaves may still be read; what may not is gone.
        if (action === 'leave') expect(row?.open, label).toBe(true)
        if (action === 'delete') expect(row?.open ?? false, label).toBe(false)
      }
      for (const told of messages) {
        const keys = told.map(({ key }) => key)
        expect(new Set(keys).size, `step ${step}: ${JSON.stringify(told)}`).toBe(keys.length)
        // Rows that were outside and are outside are not heard of, unless the window had to be filled by a query.
        const concerned = new Set([...before, ...view.keys])
        if (messages.length === 1) for (const key of keys) expect(concerned.has(key), `step ${step}`).toBe(true)
      }
    }
    expect(view.resets).toEqual([])
  })
})
