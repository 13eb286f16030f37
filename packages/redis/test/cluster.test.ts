import { createCluster } from 'redis'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { type RedisCluster, type RedisServer, startRedisCluster } from '../../../test/services/redis.ts'
import { type Notes, startNotes } from './support/notes.ts'
import { allowForBusyMachine, eventually } from './support/eventually.ts'

allowForBusyMachine()

let cluster: RedisCluster
let notes: Notes

beforeAll(async () => void (cluster = await startRedisCluster(3)))
afterAll(() => cluster.stop())

afterEach(() => notes.close())

async function setUp(): Promise<{ log: string; slot: string; source: RedisServer; target: RedisServer }> {
  // A cluster client that is brought along is copied, and need not be connected.
  const client = createCluster({ rootNodes: cluster.masters.map(({ url }) => ({ url })) })
  notes = await startNotes(client)
  await notes.write('before')
  for (const source of cluster.masters) {
    const [log] = (await source.command('KEYS', `${notes.prefix}:*:log`)) as string[]
    const target = cluster.masters.find((master) => master !== source)
    if (log === undefined || target === undefined) continue
    return { log, slot: String(await source.command('CLUSTER', 'KEYSLOT', log)), source, target }
  }
  throw new Error('no master has the log')
}

test('a slot moves to another master: subscriptions follow it, and every view is whole', async () => {
  const { log, slot, source, target } = await setUp()
  const [from, to] = await Promise.all([source, target].map((master) => master.command('CLUSTER', 'MYID')))
  await target.command('CLUSTER', 'SETSLOT', slot, 'IMPORTING', String(from))
  await source.command('CLUSTER', 'SETSLOT', slot, 'MIGRATING', String(to))
  const keys = (await source.command('CLUSTER', 'GETKEYSINSLOT', slot, '100')) as string[]
  expect(keys).toContain(log)
  await source.command('MIGRATE', '127.0.0.1', String(target.port), '', '0', '5000', 'KEYS', ...keys)
  notes.store.create({ text: 'while it moves' })
  for (const master of [target, source, ...cluster.masters])
    await master.command('CLUSTER', 'SETSLOT', slot, 'NODE', String(to))
  await notes.converge()
  await notes.write('after')
  await notes.converge()
  expect(await target.command('KEYS', '*:log')).toContain(log)
  // Whether the log has moved or a failover has set it back cannot be told apart.
  expect([notes.writer.view.resets, notes.reader.view.resets]).toEqual([['gap'], ['gap']])
})

test('subscribers of every master are killed while messages flow: the logs fill the holes', async () => {
  await setUp()
  await Promise.all(cluster.masters.map((master) => master.command('CLIENT', 'KILL', 'TYPE', 'pubsub')))
  for (let i = 0; i < 50; i++) notes.store.create({ text: `${i}` })
  await notes.converge()
  for (const { layer } of [notes.writer, notes.reader]) {
    await eventually(() => expect(layer.stats().resumed).toBeGreaterThan(0))
    expect(layer.stats().lost).toBe(0)
  }
  expect([notes.writer.view.resets, notes.reader.view.resets]).toEqual([[], []])
})

test('a master fails and its replica takes over: every view is whole again', async () => {
  const { source } = await setUp()
  const replica = await cluster.addReplica(source)
  await source.kill()
  notes.store.create({ text: 'nobody is there' })
  await eventually(async () => expect(await replica.command('INFO', 'replication')).toContain('role:master'))
  await notes.converge()
  await notes.write('after')
  await notes.converge()
  for (const { view } of [notes.writer, notes.reader]) expect(new Set(view.resets)).toEqual(new Set(['gap']))
})
