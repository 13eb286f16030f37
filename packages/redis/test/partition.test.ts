import { afterEach, beforeEach, expect, test } from 'vitest'
import { type RedisServer, startRedis } from '../../../test/services/redis.ts'
import { type Notes, type NotesOptions, startNotes } from './support/notes.ts'
import { type TcpProxy, tcpProxy } from './support/tcp-proxy.ts'
import { allowForBusyMachine, eventually } from './support/eventually.ts'

allowForBusyMachine()

let redis: RedisServer
let proxy: TcpProxy
let notes: Notes

beforeEach(async () => {
  redis = await startRedis()
  proxy = await tcpProxy(redis.port)
})

afterEach(async () => {
  await notes.close()
  await proxy.stop()
  await redis.stop()
})

/** Only one of the processes goes through the proxy. */
async function setUp(behindProxy: 'writer' | 'reader', options: NotesOptions = {}): Promise<void> {
  const [writer, reader] = behindProxy === 'writer' ? [proxy.url, redis.url] : [redis.url, proxy.url]
  notes = await startNotes(writer, { readerConnection: reader, ...options })
  await notes.write('before')
}

test('what a process could not publish reaches the others when it is back, without a reset', async () => {
  await setUp('writer')
  proxy.cut()
  notes.store.create({ text: 'unheard' })
  await notes.writer.view.until((rows) => rows.length === 2)
  await eventually(() => expect(notes.writer.layer.stats().unsent).toBe(1))
  expect(notes.reader.view.rows).toHaveLength(1)
  proxy.heal()
  await notes.converge()
  expect([notes.writer.view.resets, notes.reader.view.resets]).toEqual([[], []])
  expect(notes.writer.layer.stats().unsent).toBe(0)
})

test('where more was written than can be kept, the others begin anew', async () => {
  await setUp('writer')
  proxy.cut()
  await eventually(() => expect(notes.writer.layer.stats().connections).toBe(0))
  await notes.store.transaction((access) => void access.create({ text: 'unheard' }))
  const entry = { type: 'coarse', tx: 't', entity: 'x' } as const
  const many = Array.from({ length: 10_000 }, () => notes.writer.layer.publish('rt:other', entry))
  expect((await Promise.allSettled(many)).every(({ status }) => status === 'rejected')).toBe(true)
  expect(notes.writer.layer.stats().unsent).toBe(2)
  proxy.heal()
  await notes.reader.view.next('reset')
  await notes.converge()
  await notes.write('after')
  expect(notes.writer.layer.stats().unsent).toBe(0)
})

test('a reader that is cut off catches up from the log', async () => {
  await setUp('reader')
  proxy.cut()
  await eventually(() => expect(notes.reader.layer.stats().connections).toBe(0))
  for (let i = 0; i < 50; i++) notes.store.create({ text: `${i}` })
  await notes.writer.view.until((rows) => rows.length === 51)
  expect(notes.reader.view.rows).toHaveLength(1)
  proxy.heal()
  await notes.converge()
  expect(notes.reader.view.resets).toEqual([])
  expect(notes.reader.layer.stats().repaired).toBeGreaterThanOrEqual(50)
  expect(notes.reader.layer.stats().lost).toBe(0)
  // One outage is one report for each kind of connection, however often it was tried.
  expect(notes.reader.reports.filter((report) => report.startsWith('layer.connection')).length).toBeLessThanOrEqual(2)
})

test('a reader whose log was deleted meanwhile begins anew, and the writer goes on', async () => {
  await setUp('reader')
  // Comparing may have been quicker than the message.
  const before = notes.reader.layer.stats().repaired
  proxy.cut()
  notes.store.create({ text: 'unheard' })
  await notes.writer.view.until((rows) => rows.length === 2)
  const logs = (await redis.command('KEYS', '*:log')) as string[]
  expect(await redis.command('DEL', ...logs)).toBe(1)
  proxy.heal()
  await notes.converge()
  expect(notes.reader.layer.stats()).toMatchObject({ repaired: before, lost: 1 })
  await notes.write('after')
  expect([notes.writer.view.resets, notes.reader.view.resets]).toEqual([[], ['gap']])
})

test('a connection that is dead and does not know it is found by its silence', async () => {
  await setUp('reader', { timeout: 400 })
  proxy.mute()
  notes.store.create({ text: 'unheard' })
  await notes.writer.view.until((rows) => rows.length === 2)
  await eventually(() => expect(notes.reader.layer.stats().connections).toBe(0))
  expect(proxy.swallowed).toBeGreaterThan(0)
  expect(notes.reader.view.rows).toHaveLength(1)
  proxy.heal()
  await notes.converge()
  expect(notes.reader.view.resets).toEqual([])
})

test('a message that is missed without a sign is found by comparing, if nothing follows it', async () => {
  // Silence is not looked at: only the comparison can find it.
  await setUp('reader', { probeInterval: 3_600_000 })
  proxy.mute()
  notes.store.create({ text: 'unheard' })
  await notes.writer.view.until((rows) => rows.length === 2)
  await eventually(() => expect(proxy.swallowed).toBeGreaterThan(0))
  proxy.unmute()
  await notes.converge()
  expect(notes.reader.view.resets).toEqual([])
  expect(notes.reader.layer.stats().repaired).toBeGreaterThanOrEqual(1)
  expect(notes.reader.layer.stats().resumed).toBe(0)
})
