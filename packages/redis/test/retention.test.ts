import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { fakeClock } from '@rtapi/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type RedisServer, startRedis } from '../../../test/services/redis.ts'
import { EntryCodec } from '../src/entry-codec.ts'
import { groupKeys } from '../src/group-keys.ts'
import { redisLayer } from '../src/index.ts'
import { JoinedGroup } from '../src/joined-group.ts'
import { Pauses } from '../src/pauses.ts'
import { allowForBusyMachine, eventually } from './support/eventually.ts'

allowForBusyMachine()
setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

let redis: RedisServer

beforeAll(async () => void (redis = await startRedis()))
afterAll(() => redis.stop())

async function heapUsed(): Promise<number> {
  for (let i = 0; i < 5; i++) {
    await new Promise((resolve) => setImmediate(resolve))
    collect()
  }
  return process.memoryUsage().heapUsed
}

const GROUPS = 1_000

test('groups that were joined, heard and left leave nothing behind, in the process and in its subscriptions', async () => {
  const layer = redisLayer(redis.url, { timeout: 30_000 })
  await layer.open({ deliver: () => {}, lost: () => {} })
  const round = async (number: number): Promise<void> => {
    const names = Array.from({ length: GROUPS }, (_, i) => `rt:${number}:${i}`)
    await Promise.all(names.map((name) => layer.join(name)))
    expect(layer.stats().groups).toBe(GROUPS)
    await Promise.all(names.map((name) => layer.publish(name, { type: 'coarse', tx: 'x'.repeat(500), entity: 'e' })))
    await Promise.all(names.map((name) => layer.leave(name)))
  }
  // The first rounds make what is kept for good: compiled code, buffers.
  for (let i = 0; i < 2; i++) await round(i)
  const before = await heapUsed()
  for (let i = 2; i < 6; i++) await round(i)
  // 4,000 groups: at a hundred bytes each that would be seen.
  expect((await heapUsed()) - before).toBeLessThan(400_000)
  expect(layer.stats()).toMatchObject({ groups: 0, unsent: 0 })
  await eventually(async () => {
    const channels = (await redis.command('PUBSUB', 'CHANNELS')) as string[]
    expect(channels.filter((channel) => !channel.includes(':probe:'))).toEqual([])
  })
  await layer.close()
})

test('who waits for a group again and again while Redis is away waits for one and the same', () => {
  const clock = fakeClock()
  const group = new JoinedGroup('g', groupKeys('p', 'g'), {
    clock,
    pauses: new Pauses(clock),
    log: { join: () => new Promise(() => {}), read: () => new Promise(() => {}) },
    codec: new EntryCodec([], 1_000),
    events: { deliver: () => {}, lost: () => {} },
    counts: { poisoned: 0, repaired: 0, lost: 0, resumed: 0 },
    report: () => {},
    entrySize: 1_000,
    timeout: 200,
  })
  expect(group.entered()).toBe(group.entered())
})
