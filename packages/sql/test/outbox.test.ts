import { expect, test } from 'vitest'
import { outboxSchema } from '../src/index.ts'
import { outboxDatabase } from './support/outbox-database.ts'

const insert = (id: number) => `insert into task values (${id}, 'task ${id}')`
const COARSE = [{ type: 'coarse', entity: 'Task' }]

test('removes a row when the layer has taken it, and announces it once', async () => {
  const at = await outboxDatabase()
  const stop = await at.start()
  await at.run(insert(1))
  expect(at.batches.map(({ changes }) => changes)).toEqual([COARSE])
  await at.clock.advance(1_000)
  expect(at.rows()).toEqual([])
  expect(at.batches).toHaveLength(1)
  await stop()
  expect(at.clock.timers).toBe(0)
  expect(at.reports).toEqual([])
})

test('announces again what the layer has refused, under the same name', async () => {
  const at = await outboxDatabase()
  const stop = await at.start()
  at.answer = () => Promise.resolve(false)
  await at.run(insert(1))
  await at.clock.advance(2_000)
  expect(at.rows()).toHaveLength(1)
  at.answer = () => Promise.resolve(true)
  await at.clock.advance(1_000)
  expect(at.rows()).toEqual([])
  expect(new Set(at.batches.map(({ tx }) => tx)).size).toBe(1)
  expect(at.batches.length).toBeGreaterThan(2)
  await stop()
})

test('leaves alone what it is announcing itself, until that takes too long', async () => {
  const at = await outboxDatabase()
  const stop = await at.start()
  at.answer = () => new Promise(() => {})
  await at.run(insert(1))
  await at.clock.advance(5_000)
  expect(at.batches).toHaveLength(1)
  at.answer = () => true
  await at.clock.advance(6_000)
  expect(at.batches).toHaveLength(2)
  expect(at.rows()).toEqual([])
  await Promise.all([stop(), at.clock.advance(1_000)])
})

test('finds what others have left, when it is old enough by the clock of the database', async () => {
  const at = await outboxDatabase({ grace: 60_000 })
  const stop = await at.start()
  at.sql(`insert into rtapi_outbox (changes) values ('[{"entity":"Task","key":7,"action":"delete"}]')`)
  await at.clock.advance(2_000)
  expect(at.batches).toEqual([])
  at.sql('update rtapi_outbox set created_at = created_at - 61')
  await at.clock.advance(500)
  expect(at.batches).toEqual([
    { tx: 'outbox-1', changes: [{ type: 'change', entity: 'Task', key: 7, action: 'delete' }] },
  ])
  expect(at.rows()).toEqual([])
  await stop()
})

test('a row that appears late, with an id below those that are gone, is found', async () => {
  const at = await outboxDatabase()
  const stop = await at.start()
  at.sql(`insert into rtapi_outbox (id, changes) values (8, '[{"entity":"Task"}]')`)
  await at.clock.advance(500)
  at.sql(`insert into rtapi_outbox (id, changes) values (3, '[{"entity":"Late"}]')`)
  await at.clock.advance(500)
  expect(at.batches.flatMap(({ changes }) => changes.map(({ entity }) => entity))).toEqual(['Task', 'Late'])
  await stop()
})

test('sets aside what cannot be read, reports it once, and goes on', async () => {
  const at = await outboxDatabase({ batch: 2 })
  const stop = await at.start()
  const garbage = ['nonsense', '[]', '{}', '[null]', '[{"entity":7}]', '']
  for (const text of garbage) at.sql(`insert into rtapi_outbox (changes) values ('${text}')`)
  // Of another version: what it may mean for the entity is all that is read.
  at.sql(`insert into rtapi_outbox (changes) values ('[{"entity":"Task","keys":[1,2],"action":"merge"}]')`)
  await at.clock.advance(1_000)
  expect(at.batches).toEqual([{ tx: 'outbox-7', changes: COARSE }])
  expect(at.reports).toHaveLength(garbage.length)
  expect(at.reports[0]).toBe('test.outbox: row 1 of the outbox cannot be read and was set aside: nonsense')
  expect(await at.outbox.lag()).toEqual({ waiting: 0, oldest: 0, parked: garbage.length })
  await at.clock.advance(2_000)
  expect(at.reports).toHaveLength(garbage.length)
  await stop()
})

test('what the layer refuses for ever is in the way of nothing else', async () => {
  const at = await outboxDatabase({ batch: 20 })
  const stop = await at.start()
  at.answer = ({ changes }) => changes[0]?.entity !== 'Refused'
  for (let i = 0; i < 40; i++) at.sql(`insert into rtapi_outbox (changes) values ('[{"entity":"Refused"}]')`)
  await at.clock.advance(2_000)
  at.sql(`insert into rtapi_outbox (changes) values ('[{"entity":"Task"}]')`)
  await at.clock.advance(5_000)
  expect(at.batches.filter(({ changes }) => changes[0]?.entity === 'Task')).toHaveLength(1)
  expect(at.rows()).toHaveLength(40)
  await stop()
})

test('announces a large backlog at once, in the order of the ids', async () => {
  const at = await outboxDatabase({ batch: 100 })
  const stop = await at.start()
  for (let i = 1; i <= 950; i++)
    at.sql(`insert into rtapi_outbox (tx, changes) values ('t${i}', '[{"entity":"Task"}]')`)
  await at.clock.advance(500)
  expect(at.batches.map(({ tx }) => tx)).toEqual(Array.from({ length: 950 }, (_, i) => `t${i + 1}`))
  expect(at.rows()).toEqual([])
  await stop()
})

test('a layer that never answers keeps nobody waiting: not the others, and not the end', async () => {
  const at = await outboxDatabase()
  const stop = await at.start()
  at.sql(`insert into rtapi_outbox (changes) values ('[{"entity":"Hanging"}]'), ('[{"entity":"Task"}]')`)
  at.answer = ({ changes }) => (changes[0]?.entity === 'Hanging' ? new Promise(() => {}) : true)
  await at.clock.advance(11_000)
  expect(at.rows()).toEqual([[{ entity: 'Hanging' }]])
  await stop()
  expect(at.clock.timers).toBe(0)
})

test('a database that is away is reported once, and everything goes on when it is back', async () => {
  const at = await outboxDatabase()
  const stop = await at.start()
  await at.run(insert(1))
  at.isUp = false
  at.sql(`insert into rtapi_outbox (changes) values ('[{"entity":"Task"}]')`)
  await at.clock.advance(10_000)
  expect(at.reports).toEqual(['test.outbox: no database', 'test.outbox: no database'])
  at.isUp = true
  await at.clock.advance(2_000)
  expect(at.rows()).toEqual([])
  expect(at.batches).toHaveLength(2)
  await stop()
  expect(at.clock.timers).toBe(0)
})

test('a connection that never answers is given up, and what others have left is found by another', async () => {
  const at = await outboxDatabase()
  const stop = await at.start()
  at.sql(`insert into rtapi_outbox (changes) values ('[{"entity":"Task"}]')`)
  at.hangs = true
  await at.clock.advance(1_000)
  at.hangs = false
  await at.clock.advance(5_000)
  expect(at.batches).toEqual([])
  await at.clock.advance(20_000)
  expect(at.batches).toHaveLength(1)
  expect(at.reports).toEqual(['test.outbox: the database did not answer'])
  // The end waits for the connection that is lent, since the pool may be closed next, but not for ever.
  let hasStopped = false
  const stopped = stop().then(() => (hasStopped = true))
  await at.clock.advance(999)
  expect(hasStopped).toBe(false)
  await at.clock.advance(1)
  await stopped
  expect(at.clock.timers).toBe(0)
})

test('ends in time if the database does not answer any more', async () => {
  const at = await outboxDatabase()
  const stop = await at.start()
  await at.run(insert(1))
  at.hangs = true
  const stopped = stop()
  await at.clock.advance(1_000)
  await stopped
  expect(at.clock.timers).toBe(0)
})

test('removes at the end what was announced last', async () => {
  const at = await outboxDatabase()
  const stop = await at.start()
  let take: (answer: boolean) => void = () => {}
  at.answer = () => new Promise((resolve) => void (take = resolve))
  await at.run(insert(1))
  const stopped = stop()
  take(true)
  await stopped
  expect(at.rows()).toEqual([])
})

test('without a listener, and without a taker, rows wait for others', async () => {
  const at = await outboxDatabase()
  await at.run(insert(1))
  const stop = await at.start()
  at.answer = () => {
    throw new Error('deaf')
  }
  await at.run(insert(2))
  await stop()
  expect(at.rows()).toHaveLength(2)
})

test('a commit whose answer is lost is announced if it has taken place', async () => {
  const at = await outboxDatabase()
  const stop = await at.start()
  await at.run('begin')
  await at.run(insert(1))
  at.losesAnswers = true
  await expect(at.run('commit')).rejects.toThrow('connection lost')
  expect(at.batches).toEqual([])
  await at.clock.advance(1_000)
  expect(at.batches.map(({ changes }) => changes)).toEqual([COARSE])
  await stop()
})

test('measures the lag, and reports once when it is too long', async () => {
  const at = await outboxDatabase({ alarm: 30_000 })
  const stop = await at.start()
  at.answer = () => false
  at.sql(`insert into rtapi_outbox (changes) values ('[{"entity":"Task"}]')`)
  at.sql('update rtapi_outbox set created_at = created_at - 40')
  await at.clock.advance(2_000)
  const { waiting, oldest } = await at.outbox.lag()
  expect(waiting).toBe(1)
  expect(Math.abs(oldest - 40_000)).toBeLessThan(30_000)
  expect(at.reports.filter((text) => /has waited 4\d s to be announced/.test(text))).toHaveLength(1)
  at.answer = () => true
  await at.clock.advance(1_000)
  expect(await at.outbox.lag()).toEqual({ waiting: 0, oldest: 0, parked: 0 })
  await stop()
})

test('says what to run if the table is missing', async () => {
  const at = await outboxDatabase()
  at.sql('drop table rtapi_outbox')
  await expect(at.start()).rejects.toThrow(
    /the table of the outbox is missing: call install\(\) .*\ncreate table if not exists "rtapi_outbox"/s,
  )
  expect(at.clock.timers).toBe(0)
  await at.outbox.install()
  await at.outbox.install()
  const stop = await at.start()
  await stop()
})

test('goes on although the database is away at the start', async () => {
  const at = await outboxDatabase()
  at.isUp = false
  const stop = await at.start()
  at.isUp = true
  at.sql(`insert into rtapi_outbox (changes) values ('[{"entity":"Task"}]')`)
  await at.clock.advance(1_000)
  expect(at.batches).toHaveLength(1)
  await stop()
})

test('a database that does not answer at the start keeps nobody waiting for ever', async () => {
  const at = await outboxDatabase()
  at.hangs = true
  const started = at.start()
  await at.clock.advance(5_000)
  const stop = await started
  at.hangs = false
  at.sql(`insert into rtapi_outbox (changes) values ('[{"entity":"Task"}]')`)
  await at.clock.advance(1_000)
  expect(at.rows()).toEqual([])
  const stopped = stop()
  await at.clock.advance(1_000)
  await stopped
})

test('ends and begins again, and the last of several sources ends it', async () => {
  const at = await outboxDatabase()
  const [one, two] = [await at.start(), await at.start()]
  await one()
  await one()
  await at.run(insert(1))
  await at.clock.advance(1_000)
  expect(at.rows()).toEqual([])
  await two()
  expect(at.clock.timers).toBe(0)
  const three = await at.start()
  await at.run(insert(2))
  await at.clock.advance(200)
  expect(at.rows()).toEqual([])
  await three()
})

test('names of tables need no quotes', () => {
  expect(outboxSchema('postgres')).toMatch(/^create table if not exists "rtapi_outbox" \(/)
  expect(outboxSchema('mysql', 'app.outbox')).toMatch(/^create table if not exists `app`\.`outbox` \(/)
  expect(outboxSchema('sqlite', 'outbox')).toContain('autoincrement')
  for (const name of ['a"b', 'a b', '', 'a.b.c', '1a', "a'b"]) {
    expect(() => outboxSchema('postgres', name)).toThrow('a table with a plain name')
  }
})
