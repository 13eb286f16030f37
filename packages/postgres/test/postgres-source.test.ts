import { fakeClock } from '@rtapi/testing'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { type LiveTable, type OutboxOptions, installOutbox, postgresSource } from '../src/index.ts'
import { type TestDatabase, missing, openDatabase } from './support/database.ts'
import { psql } from './support/psql.ts'
import { until } from './support/until.ts'
import { untilEmpty, watchSource } from './support/watched-source.ts'

const ddl = `
create table note (id integer primary key, topic_id integer, text text);
create table code (region text, "the ""code""" integer, primary key (region, "the ""code"""));
create schema "o'clock \\ ""quoted""";
create table "o'clock \\ ""quoted"""."Straße; drop table note" ("Schlüssel $1" bigint primary key, "Ω?" numeric);
create table kinds (id bigint primary key, at timestamptz, day date, price numeric, ok boolean, ratio float8, u uuid);
create table measure (id integer, day date, kind text, primary key (id, day)) partition by range (day);
create table measure_2025 partition of measure for values from ('2025-01-01') to ('2026-01-01');
create table measure_2026 partition of measure for values from ('2026-01-01') to ('2027-01-01');
create table base (id integer primary key);
create table derived (more text) inherits (base);
`
const note: LiveTable = { table: 'note', entity: 'Note', key: ['id'], fields: { topicId: 'topic_id' } }
const odd: LiveTable = {
  schema: 'o\'clock \\ "quoted"',
  table: 'Straße; drop table note',
  entity: "Ein 'Ding' \\ $rtapi$",
  key: [{ column: 'Schlüssel $1', type: 'integer' }],
  fields: { "f'$rtapi1$": 'Ω?' },
}
const tables: readonly LiveTable[] = [
  note,
  { table: 'code', entity: 'Code', key: ['region', 'the "code"'] },
  odd,
  {
    table: 'kinds',
    entity: 'Kind',
    key: ['id'],
    fields: { at: 'at', day: 'day', price: 'price', ok: 'ok', ratio: 'ratio', u: 'u' },
  },
  { table: 'measure', entity: 'Measure', key: ['id', 'day'], fields: { kind: 'kind' } },
  { table: 'base', entity: 'Base', key: ['id'] },
]

// The machine may be busy.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

const reason = await missing()
describe.skipIf(reason !== undefined)(reason ?? 'the source from triggers', () => {
  let database: TestDatabase

  async function install(options: OutboxOptions = {}): Promise<void> {
    const client = await database.connect()
    await installOutbox(client, tables, options)
  }

  beforeAll(async () => {
    database = await openDatabase(ddl)
    await install()
  })
  afterAll(async () => database.close())
  afterEach(async () => database.disconnect())
  beforeEach(async () => {
    await database.pool.query('truncate note, code, kinds, measure, base')
    await database.pool.query('delete from rtapi.outbox')
  })

  test('announces what psql writes, under the number of the transaction', async () => {
    const { announced } = await watchSource(database, { tables })
    const xid = await psql(
      database.url,
      "begin; insert into note values (1, 7, 'x'); select pg_current_xact_id(); update note set topic_id = 8; commit",
    )
    expect(await announced()).toEqual([
      {
        tx: `pg-${xid.trim()}`,
        changes: [{ type: 'change', entity: 'Note', key: 1, action: 'create', after: { topicId: 8 } }],
      },
    ])
  })

  test('knows nothing of names that are harmless', async () => {
    const { changes } = await watchSource(database, { tables })
    await database.pool.query(
      `insert into "o'clock \\ ""quoted"""."Straße; drop table note" values (9007199254740991, 1.50)`,
    )
    await database.pool.query(`insert into code values ('a"b', 3)`)
    expect(await changes()).toEqual([
      { type: 'change', entity: odd.entity, key: 9007199254740991, action: 'create', after: { "f'$rtapi1$": '1.5' } },
      { type: 'change', entity: 'Code', key: ['a"b', 3], action: 'create' },
    ])
  })

  test('hands values over as stores do, whatever the session of the writer is set to', async () => {
    const { changes } = await watchSource(database, { tables })
    const writer = await database.connect()
    await writer.query("set timezone = 'Asia/Kathmandu'; set datestyle = 'German'; set extra_float_digits = 0")
    await writer.query(
      `insert into kinds values (9223372036854775807, '2026-03-01 00:00:00.123456+05:45', '2026-03-01',
         12345678901234567890.10, true, 0.1, 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11')`,
    )
    expect(await changes()).toEqual([
      {
        type: 'change',
        entity: 'Kind',
        key: '9223372036854775807',
        action: 'create',
        after: {
          at: '2026-02-28T18:15:00.123Z',
          day: '2026-03-01',
          price: '12345678901234567890.1',
          ok: true,
          ratio: 0.1,
          u: 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
        },
      },
    ])
  })

  test('leaves out what has no form on the wire, and is not held up by it', async () => {
    const { changes } = await watchSource(database, { tables })
    await database.pool.query("insert into kinds (id, at, ratio, price) values (1, 'infinity', 'NaN', 'NaN')")
    expect(await changes()).toMatchObject([{ key: '1', after: { ok: null, u: null } }])
    await database.pool.query("update note set text = 'y'; insert into note values (2)")
    expect(await changes()).toMatchObject([{ key: 2 }])
  })

  test('announces rows of partitions, whichever table the statement names, and those that move', async () => {
    const { changes } = await watchSource(database, { tables })
    await database.pool.query("insert into measure values (1, '2025-05-05', 'a')")
    await database.pool.query("insert into measure_2026 values (2, '2026-05-05', 'b')")
    await database.pool.query("update measure set day = '2026-06-06' where id = 1")
    await database.pool.query('truncate measure_2026')
    const change = { type: 'change', entity: 'Measure' }
    expect(await changes()).toEqual([
      { ...change, key: [1, '2025-05-05'], action: 'create', after: { kind: 'a' } },
      { ...change, key: [2, '2026-05-05'], action: 'create', after: { kind: 'b' } },
      { ...change, key: [1, '2025-05-05'], action: 'delete', before: { kind: 'a' } },
      { ...change, key: [1, '2026-06-06'], action: 'create', after: { kind: 'a' } },
      { type: 'coarse', entity: 'Measure' },
    ])
    await database.pool.query("insert into derived values (5, 'x')")
    expect(await changes()).toEqual([{ type: 'change', entity: 'Base', key: 5, action: 'create' }])
  })

  test('says of a big statement, and of a big transaction, only that everything may have changed', async () => {
    const { changes } = await watchSource(database, { tables, batch: 50 })
    await database.pool.query('insert into note select i from generate_series(1, 1000) i')
    expect(await changes()).toHaveLength(1_000)
    await database.pool.query("update note set text = 'x' where id <= 1000; insert into note values (1001)")
    expect(await changes()).toEqual([{ type: 'coarse', entity: 'Note' }])
    await database.pool.query("update note set text = 'z'")
    const [row] = await database.rows<{ count: number }>('select count(*)::int as count from rtapi.outbox')
    expect(row?.count).toBeLessThanOrEqual(1)
    expect(await changes()).toEqual([{ type: 'coarse', entity: 'Note' }])
  })

  test('announces two transactions in whichever order they end', async () => {
    const { changes, batches } = await watchSource(database, { tables, poll: 20 })
    const [slow, quick] = [await database.connect(), await database.connect()]
    await slow.query('begin; insert into note values (1)')
    await quick.query('insert into note values (2)')
    await until('the quick one', () => batches.length > 0)
    expect(batches.splice(0).flatMap((batch) => batch.changes)).toMatchObject([{ key: 2 }])
    await slow.query('commit')
    expect(await changes()).toMatchObject([{ key: 1 }])
  })

  test('announces again what the layer did not take, and forgets nothing before', async () => {
    let answers = 0
    const { source, reports, batches } = await watchSource(database, { tables, poll: 10 }, () => ++answers > 2)
    await database.pool.query('insert into note values (1)')
    await untilEmpty(database)
    expect(batches).toHaveLength(3)
    expect(new Set(batches.map(({ tx }) => tx)).size).toBe(1)
    expect(source.stats()).toMatchObject({ transactions: 1, refused: 2, leader: true, connected: true })
    expect(reports).toEqual([])
  })

  test('ends in time though the layer never answers, and emits nothing afterwards', async () => {
    const clock = fakeClock()
    const { source, batches } = await watchSource(database, { tables, clock }, () => new Promise(() => undefined))
    await database.pool.query('insert into note values (1)')
    await until('the first announcement', () => batches.length > 0)
    const stopped = source.stop()
    await until('the timer of stop', () => clock.timers > 0)
    await clock.advance(2_000)
    await stopped
    await database.pool.query('insert into note values (2)')
    expect(batches).toHaveLength(1)
    await clock.advance(2_000)
    await until('the connection to end', () => clock.timers === 0)
  })

  test('of two relays one announces; the other takes over when the first ends', async () => {
    const [first, second] = [
      await watchSource(database, { tables, poll: 20 }),
      await watchSource(database, { tables, poll: 20 }),
    ]
    await until('a leader', () => first.source.stats().leader || second.source.stats().leader)
    const [leader, other] = first.source.stats().leader ? [first, second] : [second, first]
    await database.pool.query('insert into note values (1)')
    expect(await leader.changes()).toMatchObject([{ key: 1 }])
    expect(other.batches).toEqual([])
    await leader.source.stop()
    await database.pool.query('insert into note values (2)')
    expect(await other.changes()).toMatchObject([{ key: 2 }])
    expect(other.source.stats().leader).toBe(true)
  })

  test('another relay announces what the one that leads leaves lying', async () => {
    const leader = await watchSource(database, { tables, poll: 20 }, () => false)
    await until('a leader', () => leader.source.stats().leader)
    const other = await watchSource(database, { tables, poll: 20, takeover: 50 })
    await database.pool.query('insert into note values (1)')
    expect(await other.changes()).toMatchObject([{ key: 1 }])
  })

  test('comes back when its connection is cut, and tells of it once', async () => {
    const { source, changes, reports } = await watchSource(database, { tables, poll: 20 })
    const cut =
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'rtapi' and datname = current_database()"
    await database.pool.query(`insert into note values (1)`)
    await changes()
    await database.pool.query(cut)
    await until('the loss', () => source.stats().failures > 0)
    await database.pool.query('insert into note values (2)')
    expect(await changes()).toMatchObject([{ key: 2 }])
    expect(reports).toHaveLength(1)
    expect(reports[0]?.during).toBe('postgres.source')
  })

  test('tells how much waits, and alarms once when that lasts', async () => {
    const clock = fakeClock()
    const { source, reports, batches } = await watchSource(database, { tables, clock, alarmAfter: 30_000 }, () => false)
    await database.pool.query('insert into note values (1), (2), (3)')
    await until('the refusal', () => source.stats().refused > 0)
    expect(await source.lag()).toMatchObject({ rows: 3 })
    expect((await source.lag()).age).toBeGreaterThanOrEqual(0)
    await until('the alarm', async () => {
      const refused = source.stats().refused
      await clock.advance(10_000)
      await until('another try', () => source.stats().refused > refused)
      return reports.length > 0
    })
    expect(source.stats().troubledFor).toBeGreaterThanOrEqual(30_000)
    expect(reports.map(({ during }) => during)).toEqual(['postgres.lag'])
    expect(batches.length).toBeGreaterThan(1)
    await source.stop()
    await expect(source.lag()).rejects.toMatchObject({ code: 'unavailable' })
  })

  test('wakes by a bare notification', async () => {
    const listener = await database.connect()
    const heard: (string | undefined)[] = []
    listener.on('notification', ({ channel, payload }) => void heard.push(`${channel}:${payload}`))
    await listener.query('listen rtapi_outbox')
    await database.pool.query('insert into note values (1)')
    await until('the notification', () => heard.length > 0)
    expect(heard).toEqual(['rtapi_outbox:'])
  })

  test('without NOTIFY a transaction can be prepared, and is announced when it is committed', async () => {
    const writer = await database.connect()
    await writer.query('begin; insert into note values (1)')
    await expect(writer.query("prepare transaction 'p0'")).rejects.toThrow('NOTIFY')
    await writer.query('rollback')
    await install({ notify: false })
    const { source, changes, batches } = await watchSource(database, { tables, poll: 20, notify: false })
    await writer.query('begin; insert into note values (1)')
    await writer.query("prepare transaction 'p1'")
    expect(batches).toEqual([])
    await writer.query("commit prepared 'p1'")
    expect(await changes()).toMatchObject([{ key: 1 }])
    await source.stop()
    await install()
  })

  test('does not start where the triggers are missing, disabled or made for another description', async () => {
    const emit = (): void => undefined
    const open = (options: Partial<Parameters<typeof postgresSource>[0]>) =>
      postgresSource({ connection: database.url, tables, ...options }).start(emit)
    await expect(open({ schema: 'elsewhere' })).rejects.toMatchObject({ code: 'not_installed' })
    await expect(open({ tables: [{ ...note, key: ['nothing'] }] })).rejects.toMatchObject({ code: 'wrong_table' })
    await expect(open({ tables: [{ ...note, table: 'nothing' }] })).rejects.toMatchObject({ code: 'not_installed' })
    await database.pool.query('alter table note disable trigger rtapi_update')
    await expect(open({})).rejects.toThrow('public.note (disabled)')
    await database.pool.query('alter table note enable trigger rtapi_update')
    const { reports } = await watchSource(database, { tables: [{ ...note, fields: {} }] })
    expect(reports).toMatchObject([{ error: { code: 'not_installed' } }])
    expect(String(reports[0]?.error)).toContain('public.note')
  })

  test('waits for a database that is not there, and not for one that refuses it', async () => {
    const reports: unknown[] = []
    const away = postgresSource({
      connection: 'postgresql://nobody@127.0.0.1:1/nothing',
      tables,
      report: (error) => void reports.push(error),
    })
    await away.start(() => undefined)
    expect(reports).toHaveLength(1)
    await away.stop()
    const refused = postgresSource({ connection: database.url.replace(/rtapi_.*$/, 'nothing'), tables })
    await expect(refused.start(() => undefined)).rejects.toMatchObject({ code: '3D000' })
    await refused.stop()
  })
})
