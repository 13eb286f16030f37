import { systemClock } from '@rtapi/core'
import { type FaultyLayer, faultyLayer } from '@rtapi/testing'
import { afterEach, expect, test } from 'vitest'
import { type RedisServer, startRedis } from '../../../test/services/redis.ts'
import { type Notes, startNotes } from './support/notes.ts'
import { allowForBusyMachine } from './support/eventually.ts'

allowForBusyMachine()

let redis: RedisServer
let notes: Notes

afterEach(async () => {
  await notes.close()
  await redis.stop()
})

test.each([1, 2, 3])(
  'F8: entries are dropped, duplicated, reordered and late, and views converge (seed %i)',
  async (seed) => {
    redis = await startRedis()
    const layers: FaultyLayer[] = []
    notes = await startNotes(redis.url, {
      wrap(layer) {
        const faults = { drop: 0.1, duplicate: 0.1, reorder: 0.1, late: 0.3, delay: 100, forget: 0.2 }
        const faulty = faultyLayer(layer, { seed: seed + layers.length, clock: systemClock, faults })
        layers.push(faulty)
        return faulty
      },
    })
    for (let i = 1; i <= 90; i++) {
      if (i % 3 === 0) notes.store.delete(i - 2)
      else if (i % 5 === 0) notes.store.update(i - 1, { text: `changed in ${i}` })
      notes.store.create({ text: `note ${i}` })
      // The entry is in Redis and back before the next one is written.
      if (i % 10 === 0) await notes.writer.layer.history('rt:any', { epoch: 'any', seq: 0 })
    }
    for (const { injected } of layers) {
      for (const fault of ['drop', 'duplicate', 'reorder', 'late'] as const)
        expect(injected[fault], fault).toBeGreaterThan(0)
    }
    for (const layer of layers) layer.heal()
    await notes.converge()
  },
)
