import {
  type LayerEntry,
  type Position,
  allowAny,
  createApi,
  defineResource,
  memoryBus,
  memoryLayer,
  memoryStore,
} from '@rtapi/core'
import { type LayerFaults, connect, fakeClock, faultyLayer } from '@rtapi/testing'
import { expect, test } from 'vitest'

const entry = (tx: string): LayerEntry => ({ type: 'coarse', tx, entity: 'things' })

/** Publishes 200 entries, and answers the numbers that arrived, with the faults that were injected. */
async function run(faults: LayerFaults, seed = 1) {
  const clock = fakeClock()
  const arrived: number[] = []
  let lost = 0
  const layer = faultyLayer(memoryLayer({ clock }), { seed, clock, faults })
  await layer.open({
    deliver: (_group: string, { seq }: Position) => void arrived.push(seq),
    lost: () => void lost++,
  })
  await layer.join('rt:a')
  const rejected = await Promise.allSettled(
    Array.from({ length: 200 }, async (_, i) => layer.publish('rt:a', entry(`t${i}`))),
  )
  const atOnce = [...arrived]
  await clock.advance(2_000)
  layer.heal()
  await clock.settle()
  await layer.close()
  return { layer, atOnce, arrived, lost, clock, failed: rejected.filter(({ status }) => status === 'rejected').length }
}

const all = Array.from({ length: 200 }, (_, i) => i + 1)

test('without faults it is the layer itself', async () => {
  const { arrived, lost, layer, failed } = await run({})
  expect([arrived, lost, failed]).toEqual([all, 0, 0])
  expect(new Set(Object.values(layer.injected))).toEqual(new Set([0]))
})

test('dropped entries do not arrive, and healing says that something was lost', async () => {
  const { arrived, lost, layer } = await run({ drop: 0.1 })
  expect(layer.injected.drop).toBeGreaterThan(5)
  expect(arrived).toHaveLength(200 - layer.injected.drop)
  expect(arrived).toEqual(arrived.toSorted((a, b) => a - b))
  expect(lost).toBe(1)
})

test('duplicated entries arrive twice', async () => {
  const { arrived, lost, layer } = await run({ duplicate: 0.1 })
  expect(layer.injected.duplicate).toBeGreaterThan(5)
  expect(arrived).toHaveLength(200 + layer.injected.duplicate)
  expect([[...new Set(arrived)], lost]).toEqual([all, 0])
})

test('reordered entries arrive after the next one, all of them', async () => {
  const { arrived, layer } = await run({ reorder: 0.1 })
  expect(layer.injected.reorder).toBeGreaterThan(5)
  expect(arrived).not.toEqual(all)
  expect(arrived.toSorted((a, b) => a - b)).toEqual(all)
})

test('late entries arrive in their order, within the delay', async () => {
  const { atOnce, arrived, layer, clock } = await run({ late: 0.1, delay: 1_000 })
  expect(layer.injected.late).toBeGreaterThan(5)
  expect(atOnce.length).toBeLessThan(200)
  expect(arrived).toEqual(all)
  expect(clock.timers).toBe(0)
})

test('failing calls reject, some of them after they were done', async () => {
  const { arrived, failed, layer } = await run({ fail: 0.2 })
  expect(failed).toBe(layer.injected.fail)
  expect(failed).toBeGreaterThan(10)
  expect(arrived.length).toBeGreaterThan(200 - failed)
  expect(arrived.length).toBeLessThan(200)
})

test('one seed makes the same faults each time, another seed others', async () => {
  const faults = { drop: 0.1, duplicate: 0.1, reorder: 0.1 }
  const [first, again, other] = [await run(faults, 7), await run(faults, 7), await run(faults, 8)]
  expect(again.arrived).toEqual(first.arrived)
  expect(other.arrived).not.toEqual(first.arrived)
})

test('while it is cut nothing arrives and calls reject, and healing says so', async () => {
  const clock = fakeClock()
  const bus = memoryBus({ clock })
  const other = bus.layer()
  await other.open({ deliver: () => {}, lost: () => {} })
  const layer = faultyLayer(bus.layer(), { seed: 1, clock })
  const heard: string[] = []
  await layer.open({ deliver: (group) => void heard.push(group), lost: () => void heard.push('lost') })
  await layer.join('rt:a')
  layer.cut()
  await other.publish('rt:a', entry('missed'))
  await expect(layer.publish('rt:a', entry('refused'))).rejects.toThrow('cut off')
  expect(heard).toEqual([])
  layer.heal()
  await other.publish('rt:a', entry('heard'))
  expect(heard).toEqual(['lost', 'rt:a'])
})

test.each([1, 2, 3, 4, 5])('views of a faulty process converge when the faults end (seed %i)', async (seed) => {
  const clock = fakeClock()
  const bus = memoryBus({ clock })
  const store = memoryStore<{ id: number; text: string }>({
    entity: 'notes',
    fields: { id: 'integer', text: 'string' },
  })
  const resource = defineResource('notes', { store, permissions: [allowAny] })
  const reports: unknown[] = []
  const report = (error: unknown): void => void reports.push(error)
  const layer = faultyLayer(bus.layer(), {
    seed,
    clock,
    faults: { drop: 0.1, duplicate: 0.1, reorder: 0.1, late: 0.3, forget: 0.2 },
  })
  const near = createApi({ resources: [resource], changes: [store], layer: bus.layer(), clock, report })
  const far = createApi({ resources: [resource], layer, clock, report })
  const views = [
    await (await connect(near)).subscribe({ resource: 'notes' }),
    await (await connect(far)).subscribe({ resource: 'notes' }),
  ]
  for (let i = 1; i <= 60; i++) {
    if (i % 3 === 0) store.delete(i - 2)
    else if (i % 5 === 0) store.update(i - 1, { text: `changed in ${i}` })
    store.create({ text: `note ${i}` })
    if (i % 4 === 0) await clock.advance(100)
  }
  layer.heal()
  await clock.advance(15_000)
  for (const view of views) expect(view.rows).toEqual(store.find())
  expect(
    Object.entries(layer.injected).filter(([fault, times]) => times === 0 && fault in { drop: 1, late: 1 }),
  ).toEqual([])
  await Promise.all([near.close(), far.close()])
  expect(clock.timers).toBe(0)
})
