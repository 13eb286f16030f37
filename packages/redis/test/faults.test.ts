import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { LayerEntry } from '@rtapi/core'
import { fakeClock } from '@rtapi/testing'
import { type RedisServer, startRedis } from '../../../test/services/redis.ts'
import { type RedisClientType, createClient } from 'redis'
import { afterEach, describe, expect, onTestFinished, test } from 'vitest'
import { redisLayer } from '../src/index.ts'
import { allowForBusyMachine, eventually } from './support/eventually.ts'
import { type Notes, type NotesOptions, startNotes } from './support/notes.ts'
import { tcpProxy } from './support/tcp-proxy.ts'

allowForBusyMachine()

const MIB = 1_048_576
const LOG = 'redis.log'
const entry: LayerEntry & { type: 'coarse' } = { type: 'coarse', tx: 't', entity: 'notes' }

let redis: RedisServer
let admin: RedisClientType
let notes: Notes

async function setUp(config: Readonly<Record<string, string>> = {}, options: NotesOptions = {}): Promise<void> {
  redis = await startRedis({ config: { logfile: LOG, ...config } })
  await connectAdmin()
  notes = await startNotes(redis.url, options)
  await notes.write('before')
}

async function connectAdmin(): Promise<void> {
  admin = createClient({ url: redis.url })
  admin.on('error', () => {})
  await admin.connect()
}

afterEach(async () => {
  await notes.close()
  admin.destroy()
  await redis.stop()
})

function processes() {
  return [notes.writer, notes.reader]
}

function resets() {
  return processes().map(({ view }) => view.resets)
}

/** Waits until no process has a connection over which messages come. */
async function untilCutOff(): Promise<void> {
  await eventually(() => expect(processes().map(({ layer }) => layer.stats().connections)).toEqual([0, 0]))
}

/** How often Redis has ended a connection of this name since its client did not read; it says so in its log. */
async function overflows(name = ''): Promise<number> {
  const { dir = '' } = (await redis.command('CONFIG', 'GET', 'dir')) as { dir?: string }
  const lines = readFileSync(join(dir, LOG), 'utf8').split('\n')
  return lines.filter((line) => line.includes(` name=${name}`) && line.includes('output buffer limits')).length
}

/** The key of the notes' group, the only one in which anything was logged. */
async function keyOf(kind: 'meta' | 'log'): Promise<string> {
  const [log = ''] = (await redis.command('KEYS', '*:log')) as string[]
  return log.replace(/log$/, kind)
}

function subscribers(): Promise<number> {
  return redis
    .command('CLIENT', 'LIST', 'TYPE', 'pubsub')
    .then((list) => String(list).trim().split('\n').filter(Boolean).length)
}

/** Ends the connections over which messages come, and answers before anybody can have come back. */
async function killSubscribers(): Promise<void> {
  await eventually(async () => expect(await subscribers()).toBe(2))
  expect(await admin.sendCommand(['CLIENT', 'KILL', 'TYPE', 'pubsub'])).toBe(2)
}

describe('F1, F2: Redis is killed', () => {
  test.each([
    { fault: 'F1: it comes back empty', config: {}, witness: null },
    { fault: 'F2: it comes back with its files', config: { appendonly: 'yes', appendfsync: 'always' }, witness: '1' },
  ])('$fault, and every view is whole again', async ({ config, witness }) => {
    await setUp(config)
    await redis.command('SET', 'witness', '1')
    const meta = await keyOf('meta')
    const before = await redis.command('HGET', meta, 'epoch')
    await redis.kill()
    await untilCutOff()
    // Meanwhile requests work, and each process shows what it has written itself.
    const request = { resource: 'notes', action: 'create', data: { text: 'while Redis was away' } } as const
    expect(await notes.writer.client.request(request)).toMatchObject({ ok: true })
    for (const { client } of processes())
      expect(await client.request({ resource: 'notes', action: 'list' })).toMatchObject({ ok: true })
    await notes.writer.view.until((rows) => rows.length === 2)
    expect(notes.reader.view.rows).toHaveLength(1)

    await redis.start()
    expect(await redis.command('GET', 'witness')).toBe(witness)
    // Whether the log has lost its end cannot be known: nobody goes on from it.
    for (const { view } of processes()) await view.next('reset')
    await notes.converge()
    expect(await redis.command('HGET', meta, 'epoch')).not.toBe(before)
    expect(resets()).toEqual([['gap'], ['gap']])
    await notes.write('after')
    await notes.converge()
    expect(resets()).toEqual([['gap'], ['gap']])
  })
})

describe('F3: Redis is frozen', () => {
  test('F3: calls end, the silence is noticed, and when it goes on the views do too', async () => {
    await setUp({}, { timeout: 1_000 })
    redis.freeze()
    const { layer, client, view } = notes.writer
    notes.store.create({ text: 'into the ice' })
    // That they end at all is by their own time: the server answers nothing.
    await expect(layer.publish('rt:other', entry)).rejects.toMatchObject({ code: 'unavailable' })
    await expect(layer.join('rt:other')).rejects.toMatchObject({ code: 'unavailable' })
    await expect(layer.history('rt:other', { epoch: 'e', seq: 0 })).rejects.toMatchObject({ code: 'unavailable' })
    expect(await client.request({ resource: 'notes', action: 'list' })).toMatchObject({ ok: true })
    await view.until((rows) => rows.length === 2)
    await untilCutOff()
    expect(notes.reader.view.rows).toHaveLength(1)
    redis.thaw()
    await notes.converge()
    await notes.write('after')
    await notes.converge()
    expect(resets()).toEqual([[], []])
  })

  test.each([8_000, 60_000])(
    'F3: with the times of production, frozen for %i ms: calls end within 2 s, silence is noticed within 10 s, all is well within 15 s',
    async (duration) => {
      await setUp()
      const clock = fakeClock()
      const layer = redisLayer(redis.url, { clock, prefix: notes.prefix })
      const came: number[] = []
      await layer.open({ deliver: (_, { seq }) => void came.push(seq), lost: () => void came.push(Number.NaN) })
      await layer.join('rt:other')
      redis.freeze()
      const frozenAt = clock.monotonic()
      let endedAt = Number.NaN
      layer.publish('rt:other', entry).catch(() => (endedAt = clock.monotonic()))
      while (layer.stats().connections > 0 && clock.monotonic() - frozenAt < duration) await clock.advance(50)
      expect(clock.monotonic() - frozenAt).toBeLessThanOrEqual(10_000)
      await clock.advance(frozenAt + duration - clock.monotonic())
      expect(endedAt - frozenAt).toBeLessThanOrEqual(2_000)
      expect(came).toEqual([])

      redis.thaw()
      const thawedAt = clock.monotonic()
      await eventually(async () => {
        // No faster than real time, in which the server answers.
        await clock.advance(10)
        expect(came).toContain(1)
        expect(layer.stats()).toMatchObject({ connections: 1, resumed: 1, unsent: 0, lost: 0 })
      })
      expect(clock.monotonic() - thawedAt).toBeLessThanOrEqual(15_000)
      await layer.close()
      expect(clock.timers).toBe(0)
    },
  )
})

describe('F4, F5: connections end while messages flow', () => {
  test('F4: subscribers are killed: the log fills the hole, and nobody notices', async () => {
    await setUp()
    for (let round = 1; round <= 5; round++) {
      await killSubscribers()
      for (let i = 0; i < 20; i++) notes.store.create({ text: `${round}/${i}` })
      await eventually(() => {
        for (const { layer } of processes()) expect(layer.stats().resumed).toBeGreaterThanOrEqual(round)
      })
      await notes.converge()
    }
    for (const { layer } of processes()) {
      expect(layer.stats().lost).toBe(0)
      expect(layer.stats().repaired).toBeGreaterThanOrEqual(100)
    }
    expect(resets()).toEqual([[], []])
  })

  test.each([
    { kept: 300, expected: [] },
    { kept: 1, expected: ['gap'] },
  ])('F5: the buffer of subscribers overflows, with $kept entries of history', async ({ kept, expected }) => {
    await setUp({}, { history: { entries: kept } })
    await redis.command('CONFIG', 'SET', 'client-output-buffer-limit', 'pubsub 8kb 8kb 0')
    // One transaction, of which the entry alone is longer than that.
    await notes.store.transaction((access) => {
      for (let i = 0; i < 900; i++) access.create({ text: `${i}` })
    })
    notes.store.create({ text: 'the next' })
    await eventually(() => {
      for (const { layer } of processes()) expect(layer.stats().resumed).toBeGreaterThan(0)
    })
    expect(await overflows()).toBeGreaterThanOrEqual(2)
    await notes.converge()
    await eventually(() => expect(resets()).toEqual([expected, expected]))
    await notes.write('after')
  })

  test.each([
    { entries: 300, what: 'as far as the log reaches: the log fills the hole', expected: [] },
    { entries: 1, what: 'beyond the log: a reset', expected: ['gap'] },
  ])('F5: a subscriber does not read, $what', async ({ entries, expected }) => {
    redis = await startRedis({ config: { logfile: LOG } })
    const proxy = await tcpProxy(redis.port)
    onTestFinished(() => proxy.stop())
    await connectAdmin()
    // What is not read shows in the buffer alone: silence is not looked at.
    const readerOptions = { timeout: 2_000, probeInterval: 3_600_000, checkInterval: 3_600_000 }
    const history = { entries, bytes: 512 * MIB }
    const readerConnection = createClient({ url: proxy.url, name: 'reader' })
    notes = await startNotes(redis.url, { readerConnection, readerOptions, history })
    await notes.write('before')
    await redis.command('CONFIG', 'SET', 'client-output-buffer-limit', `pubsub ${MIB} ${MIB} 0`)
    const group = /\{(.*)\}/.exec(await keyOf('log'))?.[1] ?? ''
    const before = notes.reader.layer.stats()
    proxy.stall()
    // The operating system takes some megabytes before anything waits in Redis.
    for (let i = 0; (await overflows('reader')) === 0 && i < 200; i++) {
      await notes.writer.layer.publish(group, { ...entry, tx: 'x'.repeat(MIB / 2) })
    }
    expect(await overflows('reader')).toBe(1)
    notes.store.create({ text: 'unread' })
    await notes.writer.view.until((rows) => rows.length === 2)
    expect(notes.reader.view.rows).toHaveLength(1)
    proxy.unstall()
    const { layer, view } = notes.reader
    // What it did get makes it read rows, the last one too: that a view is right does not yet mean that the hole is found.
    await eventually(() => {
      const { resumed, repaired, lost } = layer.stats()
      expect([resumed > 0, repaired > before.repaired, lost > 0]).toEqual([true, entries > 1, entries === 1])
    })
    await notes.converge()
    expect(view.resets).toEqual(expected)
    await notes.write('after')
    await notes.converge()
    expect(view.resets).toEqual(expected)
  })
})

describe('F7: the log is trimmed or evicted', () => {
  test('F7: what is no longer there is a reset, not a part of it', async () => {
    await setUp({}, { history: { entries: 3 } })
    const before = processes().map(({ layer }) => layer.stats().repaired)
    await killSubscribers()
    for (let i = 0; i < 10; i++) notes.store.create({ text: `${i}` })
    await notes.converge()
    expect(resets()).toEqual([['gap'], ['gap']])
    expect(processes().map(({ layer }) => layer.stats().repaired)).toEqual(before)
    expect(processes().map(({ layer }) => layer.stats().lost)).toEqual([1, 1])
  })

  test.each([
    { gone: ['log'], expected: [] },
    { gone: ['meta'], expected: ['gap'] },
    { gone: ['meta', 'log'], expected: ['gap'] },
  ] as const)('F7: $gone deleted, with nobody writing: resets $expected', async ({ gone, expected }) => {
    await setUp()
    const keys = await Promise.all(gone.map(keyOf))
    expect(await redis.command('DEL', ...keys)).toBe(keys.length)
    if (expected.length > 0) for (const { view } of processes()) await view.next('reset')
    await notes.converge()
    await notes.write('after')
    await notes.converge()
    expect(resets()).toEqual([expected, expected])
  })

  test('F7: everything evicted for want of memory: a reset', async () => {
    await setUp()
    await redis.command('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-random')
    await redis.command('CONFIG', 'SET', 'maxmemory', '1')
    // Writing makes Redis look for memory: it throws everything away, and refuses all the same.
    await expect(admin.sendCommand(['SET', 'more', '1'])).rejects.toThrow('OOM')
    expect(await redis.command('INFO', 'stats')).not.toContain('evicted_keys:0')
    await redis.command('CONFIG', 'SET', 'maxmemory', '0')
    for (const { view } of processes()) await view.next('reset')
    await notes.converge()
    await notes.write('after')
  })

  test('F7: no memory for anything new: what is refused comes later', async () => {
    await setUp()
    await redis.command('CONFIG', 'SET', 'maxmemory', '1')
    notes.store.create({ text: 'refused' })
    await eventually(() => expect(notes.writer.layer.stats().unsent).toBe(1))
    await notes.writer.view.until((rows) => rows.length === 2)
    expect(notes.reader.view.rows).toHaveLength(1)
    await redis.command('CONFIG', 'SET', 'maxmemory', '0')
    await notes.converge()
    expect(notes.writer.layer.stats().unsent).toBe(0)
    expect(resets()).toEqual([[], []])
  })
})
