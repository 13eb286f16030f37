import type { LayerEntry, LayerEvents } from '@rtapi/core'
import { fakeClock } from '@rtapi/testing'
import { createClient, createCluster, createSentinel } from 'redis'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { type RedisServer, startRedis } from '../../../test/services/redis.ts'
import { freePort } from '../../../test/services/service.ts'
import { type RedisConnection, type RedisLayer, type RedisLayerOptions, redisLayer } from '../src/index.ts'
import { allowForBusyMachine, eventually } from './support/eventually.ts'

allowForBusyMachine()

let redis: RedisServer
const opened: RedisLayer[] = []

beforeAll(async () => void (redis = await startRedis()))
afterAll(() => redis.stop())
afterEach(async () => {
  await Promise.all(opened.splice(0).map((layer) => layer.close()))
  await redis.command('FLUSHALL')
})

const silent: LayerEvents = { deliver: () => {}, lost: () => {} }
const entry: LayerEntry = { type: 'coarse', tx: 't', entity: 'things' }

async function open(options: RedisLayerOptions = {}, events = silent, connection: RedisConnection = redis.url) {
  // In real time a busy machine must not be taken for a fault.
  const layer = redisLayer(connection, options.clock === undefined ? { timeout: 10_000, ...options } : options)
  opened.push(layer)
  await layer.open(events)
  return layer
}

function clients(): Promise<number> {
  return redis.command('CLIENT', 'LIST').then((list) => String(list).trim().split('\n').length)
}

/** How often a command has been called, by scripts too. */
async function calls(name: string): Promise<number> {
  const stats = String(await redis.command('INFO', 'commandstats'))
  return Number(new RegExp(`cmdstat_${name}:calls=(\\d+)`).exec(stats)?.[1] ?? 0)
}

/** The channels that are subscribed to, without those by which connections are tried. */
async function channels(): Promise<readonly string[]> {
  const all = (await redis.command('PUBSUB', 'CHANNELS')) as string[]
  return all.filter((channel) => !channel.includes(':probe:'))
}

describe('a connection', () => {
  test.each<[what: string, connection: () => RedisConnection]>([
    ['a URL', () => redis.url],
    ['options', () => ({ url: redis.url })],
    ['a client that is not connected', () => createClient({ url: redis.url })],
    [
      'a client that speaks RESP2 and maps types',
      () => createClient({ url: redis.url, RESP: 2, commandOptions: { typeMapping: { 36: Buffer } } }),
    ],
    ['a client with a prefix for keys', () => createClient({ url: redis.url, keyPrefix: 'mine:' })],
  ])('may be %s', async (_, connection) => {
    const came: string[] = []
    const layer = await open({}, { ...silent, deliver: (group) => void came.push(group) }, connection())
    await layer.join('rt:a')
    await layer.publish('rt:a', entry)
    await eventually(() => expect(came).toEqual(['rt:a']))
    expect(await redis.command('KEYS', '*')).toEqual(expect.arrayContaining(['rtapi:{rt:a}:meta', 'rtapi:{rt:a}:log']))
  })

  test('is nothing else', () => {
    for (const wrong of [undefined, null, 7, { duplicate: () => {} }]) {
      expect(() => redisLayer(wrong as unknown as RedisConnection)).toThrow(TypeError)
    }
    expect(() => redisLayer(redis.url, { prefix: 'a{b}' })).toThrow('a prefix is')
    expect(() => redisLayer(redis.url, { prefix: '' })).toThrow('a prefix is')
  })

  test.each<[what: string, connection: (port: number) => RedisConnection]>([
    ['one server', (port) => `redis://127.0.0.1:${port}`],
    ['a cluster', (port) => createCluster({ rootNodes: [{ url: `redis://127.0.0.1:${port}` }] })],
    ['a sentinel', (port) => createSentinel({ name: 'a', sentinelRootNodes: [{ host: '127.0.0.1', port }] })],
  ])('to %s that is not there: opening says so in time, and nothing is left', async (_, connection) => {
    const clock = fakeClock()
    const layer = redisLayer(connection(await freePort()), { clock, timeout: 500 })
    const opening = expect(layer.open(silent)).rejects.toMatchObject({
      code: 'unavailable',
      // The address is for operators, and not for clients.
      message: 'Redis cannot be reached',
      cause: expect.any(Error) as Error,
    })
    // Sentinel goes on trying for long: the time of the layer ends it.
    await clock.advance(500)
    await clock.advance(500)
    await opening
    expect(clock.timers).toBe(0)
  })
})

describe('calls', () => {
  test('are refused before open and after close, and opening works once', async () => {
    const layer = redisLayer(redis.url)
    await expect(layer.publish('rt:a', entry)).rejects.toMatchObject({ code: 'unavailable' })
    await layer.open(silent)
    await expect(layer.open(silent)).rejects.toThrow(TypeError)
    await layer.close()
    await layer.close()
    for (const call of [() => layer.join('rt:a'), () => layer.publish('rt:a', entry)]) {
      await expect(call()).rejects.toMatchObject({ code: 'unavailable' })
    }
    await expect(layer.history('rt:a', { epoch: 'e', seq: 0 })).rejects.toMatchObject({ code: 'unavailable' })
  })

  test('take names of 1 to 64 characters of printable ASCII', async () => {
    const layer = await open()
    for (const name of ['', 'a'.repeat(65), 'ü', 'a\nb', '\u0000']) {
      await expect(layer.join(name), name).rejects.toThrow(TypeError)
      await expect(layer.publish(name, entry), name).rejects.toThrow(TypeError)
    }
    for (const name of [' ', '}{', '%7b', '{%7b}', 'a'.repeat(64)]) await layer.publish(name, entry)
  })

  test('take entries up to the limit', async () => {
    const json = JSON.stringify(entry).length
    const layer = await open({ entrySize: json + 10 })
    const came: LayerEntry[] = []
    const lost: (string | undefined)[] = []
    const events: LayerEvents = {
      deliver: (_, __, entry) => void came.push(entry),
      lost: (group) => void lost.push(group),
    }
    const other = await open({ entrySize: json + 10 }, events)
    await other.join('rt:a')
    const longest = { ...entry, tx: `t${'€'.repeat(10)}` }
    await layer.publish('rt:a', longest)
    await eventually(() => expect(came).toEqual([longest]))
    await expect(layer.publish('rt:a', { ...longest, tx: `${longest.tx}x` })).rejects.toMatchObject({
      code: 'limit_exceeded',
    })
    // What nobody is told, everybody must know to be missing.
    await eventually(() => expect(lost).toEqual(['rt:a']))
    await eventually(() => expect(layer.stats().unsent).toBe(0))
    await layer.publish('rt:a', longest)
    await eventually(() => expect(came).toEqual([longest, longest]))
  })

  test('end within 2 s if nothing is answered', async () => {
    const clock = fakeClock()
    const layer = await open({ clock })
    await layer.join('rt:a')
    redis.freeze()
    const ended: unknown[] = []
    const end = (error: { code: string }): void => void ended.push(error.code)
    layer.publish('rt:a', entry).catch(end)
    layer.join('rt:b').catch(end)
    layer.history('rt:a', { epoch: 'e', seq: 0 }).catch(end)
    await clock.advance(1_899)
    expect(ended).toEqual([])
    await clock.advance(100)
    expect(ended).toEqual(['unavailable', 'unavailable', 'unavailable'])
    redis.thaw()
  })

  test('are sent together: what is published in one tick goes out in one write', async () => {
    const layer = await open()
    await layer.publish('rt:a', entry)
    const reads = async () =>
      Number(/total_reads_processed:(\d+)/.exec(String(await redis.command('INFO', 'stats')))?.[1])
    const before = await reads()
    await Promise.all(Array.from({ length: 200 }, () => layer.publish('rt:a', entry)))
    // The server reads 16 KiB at once; one command has about 300 bytes.
    expect((await reads()) - before).toBeLessThan(20)
  })
})

describe('the log', () => {
  test('keeps so many entries', async () => {
    const layer = await open({ history: { entries: 5 } })
    const { epoch } = await layer.join('rt:a')
    for (let i = 0; i < 8; i++) await layer.publish('rt:a', entry)
    expect(await layer.history('rt:a', { epoch, seq: 3 })).toHaveLength(5)
    expect(await layer.history('rt:a', { epoch, seq: 2 })).toBe('gone')
  })

  test('keeps so many bytes, however many entries these are', async () => {
    const layer = await open({ history: { bytes: 2_000 } })
    const { epoch } = await layer.join('rt:a')
    const size = 'AAAAAA::'.length + JSON.stringify(entry).length
    const kept = Math.floor(2_000 / size)
    for (let i = 0; i < 200; i++) await layer.publish('rt:a', entry)
    expect(await layer.history('rt:a', { epoch, seq: 200 - kept })).toHaveLength(kept)
    expect(await layer.history('rt:a', { epoch, seq: 200 - kept - 1 })).toBe('gone')
    // One that is longer alone leaves nothing, and the numbers go on.
    await layer.publish('rt:a', { ...entry, tx: 'x'.repeat(3_000) })
    expect(await layer.history('rt:a', { epoch, seq: 200 })).toBe('gone')
    expect(await layer.history('rt:a', { epoch, seq: 201 })).toEqual([])
    expect(await layer.publish('rt:a', entry)).toEqual({ epoch, seq: 202 })
    expect(await layer.history('rt:a', { epoch, seq: 201 })).toEqual([{ seq: 202, entry }])
  })

  test('lasts for five minutes, and what is known of the group for 30 days', async () => {
    const layer = await open()
    await layer.join('rt:a')
    await layer.publish('rt:a', entry)
    const [log, meta] = await Promise.all(['log', 'meta'].map((kind) => redis.command('PTTL', `rtapi:{rt:a}:${kind}`)))
    expect(log).toBeGreaterThan(200_000)
    expect(log).toBeLessThanOrEqual(300_000)
    expect(meta).toBeGreaterThan(29 * 86_400_000)
  })

  test('is gone when its time is over, and the group goes on in its epoch', async () => {
    const layer = await open({ history: { age: 1 } })
    await layer.join('rt:a')
    const { epoch } = await layer.publish('rt:a', entry)
    await eventually(async () => expect(await layer.history('rt:a', { epoch, seq: 0 })).toBe('gone'))
    expect(await layer.history('rt:a', { epoch, seq: 1 })).toEqual([])
    expect(await layer.publish('rt:a', entry)).toEqual({ epoch, seq: 2 })
  })

  test('takes what is published in one tick in few calls, each group in its order', async () => {
    const layer = await open()
    const groups = Array.from({ length: 70 }, (_, i) => `rt:${i}`)
    const joined = await Promise.all(groups.map((group) => layer.join(group)))
    const entries = [1, 2].map((n): LayerEntry => ({ type: 'coarse', tx: `t${n}`, entity: 'things' }))
    const before = await calls('evalsha')
    const positions = await Promise.all(entries.flatMap((one) => groups.map((group) => layer.publish(group, one))))
    expect((await calls('evalsha')) - before).toBe(3)
    expect(positions).toEqual([1, 2].flatMap((seq) => joined.map(({ epoch }) => ({ epoch, seq }))))
    expect(await layer.history('rt:69', joined[69] ?? { epoch: '', seq: 0 })).toEqual(
      entries.map((one, i) => ({ seq: i + 1, entry: one })),
    )
  })

  test('takes a long entry by itself', async () => {
    const layer = await open({ history: { bytes: 10_000_000 } })
    const joined = await layer.join('rt:a')
    const long: LayerEntry = { type: 'coarse', tx: 't', entity: 'x'.repeat(300_000) }
    const before = await calls('evalsha')
    await Promise.all([layer.publish('rt:a', entry), layer.publish('rt:a', long), layer.publish('rt:a', entry)])
    expect((await calls('evalsha')) - before).toBe(3)
    expect((await layer.history('rt:a', joined)).length).toBe(3)
  })

  test('holds nothing of a group that nobody has joined, and everything of one that somebody has left', async () => {
    const layer = await open()
    const { epoch, seq } = await layer.publish('rt:a', entry)
    expect(await redis.command('KEYS', '*')).toEqual([])
    expect(await layer.history('rt:a', { epoch, seq })).toBe('gone')
    const joined = await layer.join('rt:a')
    await layer.leave('rt:a')
    expect(await layer.publish('rt:a', entry)).toEqual({ epoch: joined.epoch, seq: joined.seq + 1 })
    expect(await layer.history('rt:a', joined)).toEqual([{ seq: joined.seq + 1, entry }])
  })

  test('of a group that somebody is joined to, and that Redis no longer knows, begins anew with the next entry', async () => {
    const clock = fakeClock()
    const lost: (string | undefined)[] = []
    const layer = await open({ clock }, { ...silent, lost: (group) => void lost.push(group) })
    await layer.join('rt:a')
    await redis.command('FLUSHALL')
    await layer.publish('rt:a', entry)
    // No check has been due: the entry itself tells.
    await eventually(() => expect(lost).toEqual(['rt:a']))
    expect(await redis.command('KEYS', '*')).toEqual(expect.arrayContaining(['rtapi:{rt:a}:meta', 'rtapi:{rt:a}:log']))
  })

  test('of a group that somebody is joined to is not forgotten, however long nothing happens', async () => {
    const layer = await open({ history: { groupAge: 3_600_000 }, checkInterval: 20 })
    await layer.join('rt:a')
    const meta = 'rtapi:{rt:a}:meta'
    const left = async (): Promise<number> => Number(await redis.command('PTTL', meta))
    for (const expiry of [
      ['PEXPIRE', meta, '1700000'],
      ['PERSIST', meta],
    ]) {
      expect(await redis.command(...expiry)).toBe(1)
      await eventually(async () => expect(await left()).toBeGreaterThan(1_800_000))
    }
    // More than half of its time is left: to write at every check would be work for nothing.
    await redis.command('PEXPIRE', meta, '1900000')
    const before = await calls('evalsha')
    await eventually(async () => expect(await calls('evalsha')).toBeGreaterThan(before + 2))
    expect(await left()).toBeLessThanOrEqual(1_900_000)
  })

  test('of another prefix is another log', async () => {
    const heard: string[] = []
    const [one, two] = [
      await open({ prefix: 'one' }),
      await open({ prefix: 'two' }, { ...silent, deliver: (group) => void heard.push(group) }),
    ]
    await two.join('rt:a')
    const { epoch } = await one.publish('rt:a', entry)
    expect(await two.history('rt:a', { epoch, seq: 0 })).toBe('gone')
    await two.publish('rt:b', entry)
    expect(heard).toEqual([])
  })
})

describe('a server that becomes a replica', () => {
  test('refuses what is published, and is not read; when it is a master again everything goes on', async () => {
    const master = await startRedis()
    const server = await startRedis()
    const lost: (string | undefined)[] = []
    const layer = redisLayer(server.url, { timeout: 500, checkInterval: 200 })
    await layer.open({ ...silent, lost: (group) => void lost.push(group) })
    const { epoch } = await layer.join('rt:a')
    await server.command('REPLICAOF', '127.0.0.1', String(master.port))
    await expect(layer.publish('rt:a', entry)).rejects.toThrow()
    await expect(layer.history('rt:a', { epoch, seq: 0 })).rejects.toThrow()
    await server.command('REPLICAOF', 'NO', 'ONE')
    await eventually(() => expect(lost).toContain('rt:a'))
    await eventually(() => expect(layer.stats().unsent).toBe(0))
    expect(await layer.join('rt:a')).not.toMatchObject({ epoch })
    await layer.close()
    await Promise.all([master.stop(), server.stop()])
  })
})

describe('what is not there when it is not needed', () => {
  test('closing ends all connections and timers, and rejects what waits', async () => {
    const before = await clients()
    const clock = fakeClock()
    const layer = redisLayer(redis.url, { clock })
    await layer.open(silent)
    await layer.join('rt:a')
    await layer.publish('rt:a', entry)
    expect(await clients()).toBe(before + 2)
    expect(clock.timers).toBeGreaterThan(0)
    redis.freeze()
    const calls = [layer.publish('rt:a', entry), layer.join('rt:b'), layer.history('rt:a', { epoch: 'e', seq: 0 })]
    const ended = Promise.allSettled(calls)
    const closing = layer.close()
    // What is being published has its time.
    await clock.advance(2_000)
    await closing
    redis.thaw()
    expect((await ended).map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
    expect(clock.timers).toBe(0)
    expect(layer.stats()).toMatchObject({ groups: 0, connections: 0, unsent: 1 })
    await eventually(async () => expect(await clients()).toBe(before))
  })

  test('what is published right before closing is published', async () => {
    const came: LayerEntry[] = []
    const other = await open({}, { ...silent, deliver: (_, __, entry) => void came.push(entry) })
    await other.join('rt:a')
    const layer = await open()
    const published = layer.publish('rt:a', entry)
    await layer.close()
    expect(await published).toMatchObject({ seq: 1 })
    await eventually(() => expect(came).toEqual([entry]))
  })

  test('closing while it opens leaves nothing', async () => {
    const before = await clients()
    const clock = fakeClock()
    for (let turns = 0; turns < 10; turns++) {
      const layer = redisLayer(redis.url, { clock })
      const opening = Promise.resolve(layer.open(silent)).then(() => layer.join('rt:a'))
      const ended = Promise.allSettled([opening])
      for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve))
      await layer.close()
      await ended
    }
    expect(clock.timers).toBe(0)
    await eventually(async () => expect(await clients()).toBe(before))
  })

  test('a group that was left is subscribed to no more', async () => {
    const layer = await open()
    for (let i = 0; i < 50; i++) await layer.join(`rt:${i}`)
    expect(layer.stats().groups).toBe(50)
    await Promise.all(Array.from({ length: 50 }, (_, i) => layer.leave(`rt:${i}`)))
    expect(layer.stats().groups).toBe(0)
    await eventually(async () => expect(await channels()).toEqual([]))
  })

  test('groups that were left together are unsubscribed from together, and nobody waits for it', async () => {
    const layer = await open()
    const names = Array.from({ length: 2_500 }, (_, i) => `rt:${i}`)
    await Promise.all(names.map((name) => layer.join(name)))
    await redis.command('CONFIG', 'RESETSTAT')
    redis.freeze()
    await Promise.all(names.map((name) => layer.leave(name)))
    redis.thaw()
    await eventually(async () => expect(await channels()).toEqual([]))
    expect(await calls('unsubscribe')).toBe(3)
    expect(layer.stats()).toMatchObject({ resumed: 0, connections: 1 })
  })

  test.each([0, 1, 2, 5, 20])('groups that are joined again %i turns after they were left are heard', async (turns) => {
    const came = new Map<string, number>()
    const layer = await open({}, { ...silent, deliver: (group) => void came.set(group, (came.get(group) ?? 0) + 1) })
    const names = Array.from({ length: 50 }, (_, i) => `rt:${i}`)
    await Promise.all(names.map((name) => layer.join(name)))
    const left = names.map((name) => layer.leave(name))
    for (let i = 0; i < turns; i++) await new Promise((resolve) => setImmediate(resolve))
    const kept = names.slice(0, 25)
    await Promise.all([...left, ...kept.map((name) => layer.join(name))])
    await Promise.all(names.map((name) => layer.publish(name, entry)))
    await eventually(() => expect([...came]).toEqual(kept.map((name) => [name, 1])))
    await eventually(async () => expect((await channels()).length).toBe(25))
  })

  test('a group that could not be joined is not joined later', async () => {
    const layer = await open({ timeout: 300 })
    redis.freeze()
    await expect(layer.join('rt:a')).rejects.toMatchObject({ code: 'unavailable' })
    expect(layer.stats().groups).toBe(0)
    redis.thaw()
    await layer.join('rt:b')
    await eventually(async () => expect(await channels()).toEqual(['rtapi:{rt:b}']))
  })
})

describe('by default', () => {
  test('a connection that is silent for 5 s is tried, and a group is compared every 10 s', async () => {
    const clock = fakeClock()
    const layer = await open({ clock })
    await layer.join('rt:a')
    await redis.command('CONFIG', 'RESETSTAT')
    await clock.advance(4_999)
    expect(await calls('publish')).toBe(0)
    await clock.advance(1)
    await eventually(async () => expect(await calls('publish')).toBe(1))
    // Within a tenth, so that not all processes do it at once.
    await clock.advance(3_999)
    expect(await calls('evalsha')).toBe(0)
    await clock.advance(2_001)
    await eventually(async () => expect((await calls('evalsha')) + (await calls('eval'))).toBeGreaterThan(0))
  })

  test('a connection that has answered is tried again after 5 s of silence, and kept', async () => {
    const clock = fakeClock()
    const came: number[] = []
    const layer = await open({ clock }, { ...silent, deliver: (_, { seq }) => void came.push(seq) })
    await layer.join('rt:a')
    for (let seq = 1; seq <= 5; seq++) {
      const before = await calls('publish')
      await clock.advance(5_000)
      await eventually(async () => expect(await calls('publish')).toBe(before + 1))
      // What comes over a connection comes in order: when this is there, what it was tried with is.
      await layer.publish('rt:a', entry)
      await eventually(() => expect(came).toContain(seq))
    }
    expect(layer.stats()).toMatchObject({ connections: 1, resumed: 0, lost: 0 })
  })
})
