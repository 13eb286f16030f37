import type { ServerMessage } from '@rtapi/core'
import { type FaultyLayer, type TestView, fakeClock, faultyLayer } from '@rtapi/testing'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { type RedisServer, startRedis } from '../../../test/services/redis.ts'
import { allowForBusyMachine, eventually } from './support/eventually.ts'
import { type Notes, startNotes } from './support/notes.ts'

allowForBusyMachine()

let redis: RedisServer
let notes: Notes

beforeAll(async () => void (redis = await startRedis()))
afterAll(() => redis.stop())
afterEach(() => notes.close())

test.each([1, 2, 3])(
  'F8: entries are dropped, duplicated, reordered and up to 2 s late: no record goes back, and views converge (seed %i)',
  async (seed) => {
    const layers: FaultyLayer[] = []
    // Measures only how late entries are; calls and repairs have real time.
    const clock = fakeClock()
    notes = await startNotes(redis.url, {
      wrap(layer) {
        const faults = { drop: 0.1, duplicate: 0.1, reorder: 0.1, late: 0.3, delay: 2_000, forget: 0.2 }
        const faulty = faultyLayer(layer, { seed: seed + layers.length, clock, faults })
        layers.push(faulty)
        return faulty
      },
    })
    const views = [notes.writer.view, notes.reader.view]
    // Each text says the number of its write.
    let writes = 0
    await eventually(async () => {
      notes.store.create({ text: `note ${++writes}` })
      await clock.advance(500)
      for (const { rows } of views) expect(rows.length).toBeGreaterThan(10)
    })
    const shown = notes.store.find().length
    for (let i = 1; i <= 90; i++) {
      notes.store.create({ text: `note ${++writes}` })
      notes.store.update(1 + (i % shown), { text: `changed in ${++writes}` })
      if (i % 3 === 0) notes.store.delete(shown + i - 2)
      if (i % 10 !== 0) continue
      // The entries so far are in Redis and back, and some of those that are late have come, before the next is written.
      await notes.writer.layer.history('rt:any', { epoch: 'any', seq: 0 })
      await clock.advance(i * 7)
    }
    await clock.advance(2_000)
    for (const { injected } of layers) {
      for (const fault of ['drop', 'duplicate', 'reorder', 'late'] as const)
        expect(injected[fault], fault).toBeGreaterThan(0)
    }
    for (const layer of layers) layer.heal()
    await clock.advance(2_000)
    await notes.converge()
    for (const view of views) checkOrder(view)
  },
)

function checkOrder({ log }: TestView): void {
  const last = new Map<unknown, number>()
  let updates = 0
  for (const row of (log as readonly ServerMessage[]).flatMap(rowsOf)) {
    const write = Number(/\d+$/.exec(String(row.text))?.[0])
    expect(write, `note ${String(row.key)}`).toBeGreaterThanOrEqual(last.get(row.key) ?? 0)
    if (write > (last.get(row.key) ?? write)) updates++
    last.set(row.key, write)
  }
  expect(last.size).toBeGreaterThan(50)
  expect(updates).toBeGreaterThan(0)
}

function rowsOf(message: ServerMessage): readonly { readonly key: unknown; readonly text: unknown }[] {
  const rows = message.type === 'snapshot' ? message.rows : message.type === 'changes' ? message.changes : []
  return rows.flatMap((row) => ('data' in row && row.data ? [{ key: row.key, text: row.data['text'] }] : []))
}
