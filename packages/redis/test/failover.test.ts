import { RESP_TYPES, createClient, createSentinel } from 'redis'
import { afterEach, describe, expect, test } from 'vitest'
import { type RedisServer, startRedis } from '../../../test/services/redis.ts'
import { type Notes, startNotes } from './support/notes.ts'
import { allowForBusyMachine, eventually } from './support/eventually.ts'

allowForBusyMachine()

let servers: RedisServer[] = []
let notes: Notes

afterEach(async () => {
  await notes.close()
  await Promise.all(servers.map((server) => server.stop()))
  servers = []
})

async function start(options: Parameters<typeof startRedis>[0] = {}): Promise<RedisServer> {
  const server = await startRedis(options)
  servers.push(server)
  return server
}

/** A master, its replica, and the sentinel that watches them. */
async function startReplicated(): Promise<{ master: RedisServer; replica: RedisServer; sentinel: RedisServer }> {
  const master = await start({ config: { 'repl-diskless-sync-delay': '0' } })
  const replica = await start({ config: { replicaof: `127.0.0.1 ${master.port}` } })
  const sentinel = await start({
    sentinel: [
      `sentinel monitor notes 127.0.0.1 ${master.port} 1`,
      'sentinel down-after-milliseconds notes 300',
      'sentinel failover-timeout notes 2000',
    ],
  })
  await eventually(async () => {
    expect(await replica.command('INFO', 'replication')).toContain('master_link_status:up')
    expect(await sentinel.command('INFO', 'sentinel')).toContain('slaves=1')
  })
  return { master, replica, sentinel }
}

function seqOf(server: RedisServer, key: string): Promise<unknown> {
  return server.command('HGET', key, 'seq')
}

describe('F6: failover with lost writes', () => {
  test('no number is taken for another entry, and every view is whole again', async () => {
    const { master, replica, sentinel } = await startReplicated()
    const options = { name: 'notes', sentinelRootNodes: [{ host: '127.0.0.1', port: sentinel.port }] }
    notes = await startNotes(createSentinel(options))
    await notes.write('replicated')
    const [log = ''] = (await master.command('KEYS', '*:log')) as string[]
    const meta = log.replace(/log$/, 'meta')
    await eventually(async () => expect(await seqOf(replica, meta)).toBe('1'))
    const before = await master.command('HGET', meta, 'epoch')

    replica.freeze()
    for (const text of ['lost 2', 'lost 3', 'lost 4']) await notes.write(text)
    expect(await seqOf(master, meta)).toBe('4')
    await master.kill()
    replica.thaw()
    await eventually(async () => expect(await replica.command('INFO', 'replication')).toContain('role:master'))
    // The numbers that were given for what is lost are given again, by a log that would have had the same epoch.
    notes.store.create({ text: 'another 2' })
    for (const { view } of [notes.writer, notes.reader]) await view.next('reset')
    await notes.converge()
    expect(await replica.command('HGET', meta, 'epoch')).not.toBe(before)
    await notes.write('after')
    await notes.converge()
    for (const { view } of [notes.writer, notes.reader]) expect(new Set(view.resets)).toEqual(new Set(['gap']))
  })

  test.each([
    { what: 'and goes on as if nothing was', lost: ['lost 2'], write: true },
    { what: 'further, and goes on', lost: ['lost 2', 'lost 3', 'lost 4'], write: true },
    { what: 'and nothing follows', lost: ['lost 2', 'lost 3'], write: false },
  ])('a log that is set back under its own epoch $what: everybody begins anew', async ({ lost, write }) => {
    const redis = await start()
    notes = await startNotes(redis.url)
    await notes.write('kept')
    const [log = ''] = (await redis.command('KEYS', '*:log')) as string[]
    const meta = log.replace(/log$/, 'meta')
    const admin = createClient({ url: redis.url }).withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer })
    await admin.connect()
    const saved = await Promise.all([meta, log].map(async (key) => ({ key, dump: await admin.dump(key) })))
    for (const text of lost) await notes.write(text)
    const before = await redis.command('HMGET', meta, 'epoch', 'run')
    for (const { key, dump } of saved) await admin.restore(key, 60_000, dump, { REPLACE: true })
    admin.destroy()
    expect(await redis.command('HMGET', meta, 'epoch', 'run')).toEqual(before)
    expect(await seqOf(redis, meta)).toBe('1')
    if (write) for (const text of lost) notes.store.create({ text: `not ${text}` })
    for (const { view } of [notes.writer, notes.reader]) await view.next('reset')
    await notes.converge()
    await notes.write('after')
    await notes.converge()
  })
})
