import { connect } from '@rtapi/testing'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { type RedisServer, startRedis } from '../../../test/services/redis.ts'
import { allowForBusyMachine } from './support/eventually.ts'
import { type Notes, startNotes } from './support/notes.ts'

allowForBusyMachine()

let redis: RedisServer
let notes: Notes

beforeAll(async () => void (redis = await startRedis()))
afterAll(() => redis.stop())
afterEach(() => notes.close())

test('a client whose process is gone goes on at another one, from its position and without a reset', async () => {
  notes = await startNotes(redis.url)
  await notes.write('one')
  await notes.write('two')
  const { view } = notes.reader
  await notes.reader.api.close()
  // What is missed while the client is nowhere.
  notes.store.create({ text: 'three' })
  notes.store.delete(1)
  await notes.writer.view.until((rows) => rows.length === 2 && rows.some(({ text }) => text === 'three'))

  const client = await connect(notes.writer.api, { timeout: 60_000 })
  const resumed = await client.resubscribe(view)
  await resumed.until((rows) => JSON.stringify(rows) === JSON.stringify(notes.store.find()))
  expect(resumed.resets).toEqual([])
  // Only what was missed was sent: the note that it has already is not among it.
  expect(JSON.stringify(resumed.log)).not.toContain('two')
  notes.store.create({ text: 'four' })
  await resumed.until((rows) => rows.length === 3)
})

test('a position of a log that is gone is not gone on from, whichever process is asked', async () => {
  notes = await startNotes(redis.url)
  await notes.write('one')
  const { view } = notes.reader
  await notes.reader.api.close()
  await redis.command('FLUSHALL')
  await notes.writer.view.next('reset')
  // The new log has got as far as the old one: only the epoch tells them apart.
  notes.store.create({ text: 'two' })
  await notes.writer.view.until((rows) => rows.length === 2)
  const client = await connect(notes.writer.api, { timeout: 60_000 })
  const resumed = await client.resubscribe(view)
  await resumed.until((rows) => rows.length === 2)
  expect(resumed.resets).toEqual(['gap'])
})
