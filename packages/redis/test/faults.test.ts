import { type RedisServer, startRedis } from '../../../test/services/redis.ts'
import { type RedisClientType, createClient } from 'redis'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { type Notes, type NotesOptions, startNotes } from './support/notes.ts'

let redis: RedisServer
let admin: RedisClientType
let notes: Notes

async function setUp(config: Readonly<Record<string, string>> = {}, options: NotesOptions = {}): Promise<void> {
  redis = await startRedis({ config })
  admin = createClient({ url: redis.url })
  admin.on('error', () => {})
  await admin.connect()
  notes = await startNotes(redis.url, options)
  await notes.write('before')
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
  await vi.waitFor(() => expect(processes().map(({ layer }) => layer.stats().connections)).toEqual([0, 0]), 5_000)
}

/** The key of the notes' group, the only one in which anything was logged. */
async function keyOf(kind: 'meta' | 'log'): Promise<string> {
  const [log = ''] = (await redis.command('KEYS', '*:log')) as string[]
  return log.replace(/log$/, kind)
}

/** Ends the connections over which messages come, and answers before anybody can have come back. */
async function killSubscribers(): Promise<void> {
  expect(await admin.sendCommand(['CLIENT', 'KILL', 'TYPE', 'pubsub'])).toBe(2)
}

describe('F1, F2: Redis is killed', () => {
  test.each([
    { fault: 'F1: it comes back empty', config: {}, witness: null },
    { fault: 'F2: it comes back with its files', config: { appendonly: 'yes', appendfsync: 'always' }, witness: '1' },
  ])('$fault, and every view is whole again', async ({ config, witness }) => {
    await setUp(config)
    await redis.command('SET', 'witness', '1')
    await redis.kill()
    await untilCutOff()
    notes.store.create({ text: 'while Redis was away' })
    // Meanwhile requests work, and the writer's own view shows the change.
    const lists = processes().map(({ client }) => client.request({ resource: 'notes', action: 'list' }))
    for (const reply of await Promise.all(lists)) expect(reply).toMatchObject({ ok: true })
    await notes.writer.view.until((rows) => rows.length === 2)
    expect(notes.reader.view.rows).toHaveLength(1)

    await redis.start()
    expect(await redis.command('GET', 'witness')).toBe(witness)
    // Whether the log has lost its end cannot be known: nobody goes on from it.
    for (const { view } of processes()) await view.next('reset')
    await notes.converge()
    expect(resets()).toEqual([['gap'], ['gap']])
    await notes.write('after')
    await notes.converge()
    expect(resets()).toEqual([['gap'], ['gap']])
  })
})

describe('F3: Redis is frozen', () => {
  test('calls end, the silence is noticed, and when it goes on the views do too', async () => {
    await setUp({}, { timeout: 400 })
    redis.freeze()
    const { layer } = notes.writer
    const start = performance.now()
    notes.store.create({ text: 'into the ice' })
    await expect(layer.publish('rt:other', { type: 'coarse', tx: 't', entity: 'notes' })).rejects.toMatchObject({
      code: 'unavailable',
    })
    expect(performance.now() - start).toBeLessThan(1_000)
    await expect(layer.join('rt:other')).rejects.toMatchObject({ code: 'unavailable' })
    await notes.writer.view.until((rows) => rows.length === 2)
    await untilCutOff()
    redis.thaw()
    await notes.converge()
    await notes.write('after')
    await notes.converge()
    expect(resets()).toEqual([[], []])
  })
})

describe('F4, F5: connections end while messages flow', () => {
  test('F4: subscribers are killed: the log fills the hole, and nobody notices', async () => {
    await setUp()
    for (let round = 1; round <= 5; round++) {
      await killSubscribers()
      for (let i = 0; i < 20; i++) notes.store.create({ text: `${round}/${i}` })
      await vi.waitFor(
        () => expect(processes().map(({ layer }) => layer.stats().resumed)).toEqual([round, round]),
        5_000,
      )
      await notes.converge()
    }
    for (const { layer } of processes()) expect(layer.stats()).toMatchObject({ repaired: 100, lost: 0 })
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
    await vi.waitFor(() => {
      for (const { layer } of processes()) expect(layer.stats().resumed).toBeGreaterThan(0)
    })
    await notes.converge()
    expect(resets()).toEqual([expected, expected])
    await notes.write('after')
  })
})

describe('F7: the log is trimmed or evicted', () => {
  test('what is no longer there is a reset, not a part of it', async () => {
    await setUp({}, { history: { entries: 3 } })
    await killSubscribers()
    for (let i = 0; i < 10; i++) notes.store.create({ text: `${i}` })
    await notes.converge()
    expect(resets()).toEqual([['gap'], ['gap']])
    for (const { layer } of processes()) expect(layer.stats()).toMatchObject({ repaired: 0, lost: 1 })
  })

  test.each([
    { gone: ['log'], expected: [] },
    { gone: ['meta'], expected: ['gap'] },
    { gone: ['meta', 'log'], expected: ['gap'] },
  ] as const)('$gone deleted, with nobody writing: resets $expected', async ({ gone, expected }) => {
    await setUp()
    const keys = await Promise.all(gone.map(keyOf))
    expect(await redis.command('DEL', ...keys)).toBe(keys.length)
    if (expected.length > 0) for (const { view } of processes()) await view.next('reset')
    await notes.converge()
    await notes.write('after')
    await notes.converge()
    expect(resets()).toEqual([expected, expected])
  })

  test('everything evicted for want of memory: a reset', async () => {
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

  test('no memory for anything new: what is refused comes later', async () => {
    await setUp()
    await redis.command('CONFIG', 'SET', 'maxmemory', '1')
    notes.store.create({ text: 'refused' })
    await vi.waitFor(() => expect(notes.writer.layer.stats().unsent).toBe(1))
    await notes.writer.view.until((rows) => rows.length === 2)
    expect(notes.reader.view.rows).toHaveLength(1)
    await redis.command('CONFIG', 'SET', 'maxmemory', '0')
    await notes.converge()
    expect(notes.writer.layer.stats().unsent).toBe(0)
    expect(resets()).toEqual([[], []])
  })
})
