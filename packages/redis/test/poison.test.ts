import { type RedisClientType, createClient } from 'redis'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { type RedisServer, startRedis } from '../../../test/services/redis.ts'
import { type Notes, type NotesOptions, startNotes } from './support/notes.ts'
import { allowForBusyMachine, eventually } from './support/eventually.ts'

allowForBusyMachine()

let redis: RedisServer
let admin: RedisClientType
let notes: Notes

beforeAll(async () => {
  redis = await startRedis()
  admin = createClient({ url: redis.url })
  await admin.connect()
})

afterAll(async () => {
  admin.destroy()
  await redis.stop()
})

afterEach(() => notes.close())

async function setUp(options: NotesOptions = {}): Promise<{ channel: string; epoch: string }> {
  notes = await startNotes(redis.url, options)
  await notes.write('before')
  const [log = ''] = await admin.keys(`${notes.prefix}:*:log`)
  const channel = log.replace(/:log$/, '')
  return { channel, epoch: (await admin.hGet(`${channel}:meta`, 'epoch')) ?? '' }
}

function counts(name: 'poisoned' | 'lost'): number[] {
  return [notes.writer, notes.reader].map(({ layer }) => layer.stats()[name])
}

/** Each process has met it, and goes on. */
async function untilPoisoned(count: number): Promise<void> {
  await eventually(() => expect(counts('poisoned')).toEqual([count, count]))
  await notes.converge()
  await notes.write('after')
  await notes.converge()
}

const valid = JSON.stringify({ type: 'coarse', tx: 't', entity: 'notes' })
const entry = (json: string): string => `AAAAAA::${json}`

describe('F9: messages that are none', () => {
  test.each<[what: string, message: (epoch: string) => string | Buffer]>([
    ['nothing', () => ''],
    ['noise', () => '\u0000\uFFFD{]:1:'],
    ['bytes that are no text', () => Buffer.from([0x31, 0x3a, 0xff, 0xfe, 0x3a])],
    ['broken JSON', (epoch) => `1:${epoch}:2::${entry(valid.slice(1))}`],
    ['another version', (epoch) => `2:${epoch}:2::${entry(valid)}`],
    ['a number that is none', (epoch) => `1:${epoch}:1e3::${entry(valid)}`],
    ['an entry without a tag', (epoch) => `1:${epoch}:2::${valid}`],
    ['a type that nobody knows', (epoch) => `1:${epoch}:2::${entry('{"type":"hello"}')}`],
    ['a key of a wrong type', (epoch) => `1:${epoch}:2::${entry(valid.replace('coarse', 'changes'))}`],
    ['5 MB', (epoch) => `1:${epoch}:2::${entry(JSON.stringify({ ...JSON.parse(valid), tx: 'x'.repeat(5_242_880) }))}`],
  ])('%s, published by hand: dropped and counted', async (_, message) => {
    const { channel, epoch } = await setUp()
    expect(await admin.publish(channel, message(epoch))).toBe(2)
    await untilPoisoned(1)
    expect(counts('lost')).toEqual([0, 0])
    expect([notes.writer.view.resets, notes.reader.view.resets]).toEqual([[], []])
  })

  test.each<[what: string, message: (epoch: string) => string]>([
    ['with a number far ahead', (epoch) => `1:${epoch}:100:AAAAAA:${entry(valid)}`],
    ['with the next number', (epoch) => `1:${epoch}:2:BBBBBB:${entry(valid)}`],
    ['with the last number', (epoch) => `1:${epoch}:1::${entry(valid)}`],
    ['of another epoch', () => `1:other:2:AAAAAA:${entry(valid)}`],
  ])('an entry %s, published by hand: the log knows better', async (_, message) => {
    const { channel, epoch } = await setUp()
    expect(await admin.publish(channel, message(epoch))).toBe(2)
    await notes.write('after')
    await notes.converge()
    expect(counts('lost')).toEqual([0, 0])
    expect([notes.writer.view.resets, notes.reader.view.resets]).toEqual([[], []])
  })

  test.each<[what: string, id: string, fields: string[]]>([
    ['under an id of the server', '*', ['d', 'foo']],
    ['under the next number', '2-0', ['d', 'foo']],
    ['under the next number, as an entry', '2-0', ['p', 'AAAAAA', 'b', entry(valid), 's', '1']],
  ])('something added to the log by hand %s: a new log', async (_, id, fields) => {
    const { channel, epoch } = await setUp()
    await admin.sendCommand(['XADD', `${channel}:log`, id, ...fields])
    notes.store.create({ text: 'next' })
    for (const { view } of [notes.writer, notes.reader]) await view.next('reset')
    await notes.converge()
    await notes.write('after')
    expect(await admin.hGet(`${channel}:meta`, 'epoch')).not.toBe(epoch)
  })

  test.each(['meta', 'log'])('%s overwritten by something of another type: a new log', async (kind) => {
    const { channel } = await setUp()
    await admin.set(`${channel}:${kind}`, 'something else')
    notes.store.create({ text: 'next' })
    for (const { view } of [notes.writer, notes.reader]) await view.next('reset')
    await notes.converge()
    await notes.write('after')
    expect(notes.writer.layer.stats().unsent).toBe(0)
  })

  test('an entry of a newer version in the log: dropped and counted, and the group begins anew', async () => {
    const { channel } = await setUp()
    const meta = `${channel}:meta`
    const tag = (await admin.hGet(meta, 'tag')) ?? ''
    // As a newer version would log and send it.
    const body = entry('{"type":"hello"}')
    await admin
      .multi()
      .xAdd(`${channel}:log`, '2-0', { p: tag, b: body, s: '1000' })
      .hSet(meta, { seq: 2, tag: 'AAAAAA' })
      .publish(channel, `1:${await admin.hGet(meta, 'epoch')}:2:${tag}:${body}`)
      .exec()
    for (const { view } of [notes.writer, notes.reader]) await view.next('reset')
    await notes.converge()
    await notes.write('after')
    await notes.converge()
    expect(counts('lost')).toEqual([1, 1])
    for (const count of counts('poisoned')) expect(count).toBeGreaterThan(0)
  })
})

describe('with a secret', () => {
  const secret = ['new secret', 'old secret']

  test('entries of processes that know it pass, also while it is being changed', async () => {
    await setUp({ secret, readerOptions: { secret: ['old secret', 'new secret'] } })
    await notes.write('after')
    await notes.converge()
    expect(counts('poisoned')).toEqual([0, 0])
  })

  test('an entry that is not signed, or was changed, is poison', async () => {
    const { channel, epoch } = await setUp({ secret })
    const [{ message }] = (await admin.xRange(`${channel}:log`, '-', '+')) as unknown as [{ message: { b: string } }]
    const changed = message.b.replace(/.$/, ' }')
    await admin.publish(channel, `1:${epoch}:2::${entry(valid)}`)
    await admin.publish(channel, `1:${epoch}:2::${changed}`)
    await untilPoisoned(2)
    expect(counts('lost')).toEqual([0, 0])
  })
})
