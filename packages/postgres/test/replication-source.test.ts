import type { Change, ChangeBatch, CoarseChange } from '@rtapi/core'
import { fakeClock } from '@rtapi/testing'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import {
  type LiveTable,
  type ReplicationSource,
  type ReplicationSourceOptions,
  installReplication,
  removeReplication,
  replicationSource,
} from '../src/index.ts'
import { type TestDatabase, missing, openDatabase } from './support/database.ts'
import { psql } from './support/psql.ts'
import { type TestSlot, freshSlot } from './support/slots.ts'
import { until } from './support/until.ts'

const ddl = `
create table note (id integer primary key, topic_id integer, body text, code text unique);
create table loose (id integer, code text not null);
alter table loose replica identity full;
create schema "o'clock \\ ""quoted""";
create table "o'clock \\ ""quoted"""."Straße; drop table note" ("Schlüssel $1" bigint primary key, "Ω?" numeric);
create table kinds (id bigint primary key, at timestamptz, day date, price numeric, ok boolean, ratio float8, u uuid);
create table measure (id integer, day date, kind text, primary key (id, day)) partition by range (day);
create table measure_2025 partition of measure for values from ('2025-01-01') to ('2026-01-01');
create table measure_2026 partition of measure for values from ('2026-01-01') to ('2027-01-01');
create table base (id integer primary key);
create table derived (more text, primary key (id)) inherits (base);
`
const odd: LiveTable = {
  schema: 'o\'clock \\ "quoted"',
  table: 'Straße; drop table note',
  entity: "Ein 'Ding' \\ $rtapi$",
  key: [{ column: 'Schlüssel $1', type: 'integer' }],
  fields: { 'f"': 'Ω?' },
}
const kinds: LiveTable = {
  table: 'kinds',
  entity: 'Kind',
  key: ['id'],
  fields: { at: 'at', day: 'day', price: 'price', ok: 'ok', ratio: 'ratio', u: 'u' },
}
const tables: readonly LiveTable[] = [
  { table: 'note', entity: 'Note', key: ['id'], fields: { topicId: 'topic_id', body: 'body' } },
  { table: 'note', entity: 'Code', key: ['code'] },
  { table: 'loose', entity: 'Loose', key: ['id'], fields: { code: 'code' } },
  odd,
  kinds,
  { table: 'measure', entity: 'Measure', key: ['id', 'day'], fields: { kind: 'kind' } },
  { table: 'base', entity: 'Base', key: ['id'] },
]
const publication = 'odd "name", of a publication'

// The machine may be busy.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

const reason = await missing()
describe.skipIf(reason !== undefined)(reason ?? 'the source from the log', () => {
  let database: TestDatabase
  let slot: TestSlot
  const sources: ReplicationSource[] = []

  interface Watched {
    readonly source: ReplicationSource
    readonly batches: ChangeBatch[]
    readonly reports: { readonly error: unknown; readonly during: string }[]
    /** All changes, once all that has been committed was acknowledged. */
    readonly changes: () => Promise<readonly (Change | CoarseChange)[]>
  }

  async function watch(
    answer: (batch: ChangeBatch) => unknown = () => undefined,
    options: Partial<ReplicationSourceOptions> = {},
  ): Promise<Watched> {
    const batches: ChangeBatch[] = []
    const reports: Watched['reports'] = []
    const source = replicationSource({
      connection: database.url,
      tables,
      slot: slot.name,
      publication,
      poll: 20,
      report: (error, { during }) => void reports.push({ error, during }),
      ...options,
    })
    sources.push(source)
    await source.start((batch) => {
      batches.push(batch)
      return answer(batch)
    })
    const changes = async () => {
      await slot.untilRead(database)
      return batches.splice(0).flatMap((batch) => batch.changes)
    }
    return { source, batches, reports, changes }
  }

  const connectionsOfSources = () =>
    database.rows("select from pg_stat_activity where application_name = 'rtapi' and datname = current_database()")

  beforeAll(async () => {
    database = await openDatabase(ddl)
  })
  afterAll(async () => database.close())
  beforeEach(async () => {
    slot = freshSlot()
    await database.pool.query('truncate note, loose, kinds, measure, base, derived')
    await installReplication(await database.connect(), tables, { slot: slot.name, publication })
    await slot.skip(database)
  })
  afterEach(async () => {
    for (const source of sources.splice(0)) await source.stop()
    await until('all connections of the sources to end', async () => (await connectionsOfSources()).length === 0)
    await slot.drop(database)
    await database.disconnect()
  })

  test('announces what psql writes, under the number of the transaction', async () => {
    const { batches, changes } = await watch()
    const xid = await psql(
      database.url,
      "begin; insert into note values (1, 7, 'x'); select pg_current_xact_id(); update note set topic_id = 8; commit",
    )
    await until('the batch', () => batches.length > 0)
    expect(batches[0]?.tx).toBe(`pg-${xid.trim()}`)
    expect((await changes())[0]).toMatchObject({ type: 'coarse', entity: 'Code' })
    await database.pool.query("update note set code = 'c'; insert into note values (2, 9, 'y', 'd')")
    expect(await changes()).toEqual([
      { type: 'coarse', entity: 'Code' },
      { type: 'change', entity: 'Note', key: 1, action: 'update', after: { topicId: 8, body: 'x' } },
      { type: 'change', entity: 'Note', key: 2, action: 'create', after: { topicId: 9, body: 'y' } },
    ])
  })

  test('says by which key a record went, and what it was where the log has that', async () => {
    const { changes } = await watch()
    await database.pool.query("insert into note values (1, 7, 'x', 'c'); insert into loose values (1, 'a')")
    await changes()
    await database.pool.query('update note set id = 2')
    await database.pool.query('delete from note')
    await database.pool.query("update loose set code = 'b'; update loose set code = 'b'")
    await database.pool.query('update loose set id = 3')
    await database.pool.query('delete from loose')
    const note = { type: 'change', entity: 'Note' }
    const loose = { type: 'change', entity: 'Loose' }
    const code = { type: 'coarse', entity: 'Code' }
    expect(await changes()).toEqual([
      code,
      { ...note, key: 1, action: 'delete' },
      { ...note, key: 2, action: 'create', after: { topicId: 7, body: 'x' } },
      code,
      { ...note, key: 2, action: 'delete' },
      { ...loose, key: 1, action: 'update', before: { code: 'a' }, after: { code: 'b' } },
      { ...loose, key: 1, action: 'delete', before: { code: 'b' } },
      { ...loose, key: 3, action: 'create', after: { code: 'b' } },
      { ...loose, key: 3, action: 'delete', before: { code: 'b' } },
    ])
  })

  test('does not take a long value that was left as it is for one that is gone', async () => {
    const { changes } = await watch()
    await database.pool.query('alter table note alter body set storage external')
    await database.pool.query("insert into note values (1, 7, repeat('x', 10000), 'c')")
    await changes()
    await database.pool.query('update note set topic_id = 8')
    expect(await changes()).toEqual([
      { type: 'coarse', entity: 'Code' },
      { type: 'change', entity: 'Note', key: 1, action: 'update', after: { topicId: 8 } },
    ])
  })

  test('hands values over as stores do, whatever is set for the database, and knows no harmless names', async () => {
    await database.pool.query(`do $$ begin
      execute format('alter database %I set timezone = ''Asia/Kathmandu''', current_database());
      execute format('alter database %I set datestyle = ''German''', current_database());
      execute format('alter database %I set extra_float_digits = -15', current_database());
    end $$`)
    const { changes } = await watch()
    await database.pool.query(
      `insert into kinds values (9223372036854775807, '2026-03-01 00:00:00.123456+05:45', '2026-03-01',
         12345678901234567890.10, true, 0.1, 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'),
         (1, 'infinity', null, 'NaN', false, 'NaN', null);
       insert into "o'clock \\ ""quoted"""."Straße; drop table note" values (9007199254740991, 1.50)`,
    )
    const created = { type: 'change', action: 'create' }
    expect(await changes()).toEqual([
      {
        ...created,
        entity: 'Kind',
        key: '9223372036854775807',
        after: {
          at: '2026-02-28T18:15:00.123Z',
          day: '2026-03-01',
          price: '12345678901234567890.1',
          ok: true,
          ratio: 0.1,
          u: 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
        },
      },
      { ...created, entity: 'Kind', key: '1', after: { day: null, price: 'NaN', ok: false, u: null } },
      { ...created, entity: odd.entity, key: 9007199254740991, after: { 'f"': '1.5' } },
    ])
  })

  test('announces rows of partitions and heirs as those of the whole, and truncation', async () => {
    const { changes } = await watch()
    await database.pool.query("insert into measure values (1, '2025-05-05', 'a')")
    await database.pool.query("insert into measure_2026 values (2, '2026-05-05', 'b')")
    await database.pool.query("update measure set day = '2026-06-06' where id = 1")
    await database.pool.query("insert into derived values (5, 'x')")
    await database.pool.query('truncate measure')
    const change = { type: 'change', entity: 'Measure' }
    expect(await changes()).toEqual([
      { ...change, key: [1, '2025-05-05'], action: 'create', after: { kind: 'a' } },
      { ...change, key: [2, '2026-05-05'], action: 'create', after: { kind: 'b' } },
      { ...change, key: [1, '2025-05-05'], action: 'delete' },
      { ...change, key: [1, '2026-06-06'], action: 'create', after: { kind: 'a' } },
      { type: 'change', entity: 'Base', key: 5, action: 'create' },
      { type: 'coarse', entity: 'Measure' },
    ])
  })

  test('goes on with the new names and columns of a table', async () => {
    const { changes } = await watch()
    await database.pool.query('insert into base values (1)')
    await database.pool.query('alter table base add extra text; alter table base rename id to number')
    await database.pool.query("insert into base values (2, 'x')")
    expect(await changes()).toEqual([
      { type: 'change', entity: 'Base', key: 1, action: 'create' },
      { type: 'coarse', entity: 'Base' },
    ])
    await database.pool.query('alter table base rename number to id; alter table base drop extra')
  })

  test('says of a big transaction only that everything may have changed', async () => {
    const { changes } = await watch()
    await database.pool.query('insert into base select i from generate_series(1, 1000) i')
    expect(await changes()).toHaveLength(1_000)
    await database.pool.query('insert into base select i from generate_series(1001, 30000) i')
    expect(await changes()).toEqual([{ type: 'coarse', entity: 'Base' }])
  })

  test('acknowledges nothing that was not taken, and tries it again', async () => {
    let answers = 0
    const { source, batches, changes } = await watch(() => ++answers > 2)
    await database.pool.query('insert into base values (1)')
    await changes()
    expect(answers).toBe(3)
    expect(batches).toEqual([])
    expect(source.stats()).toMatchObject({ transactions: 1, refused: 2, leader: true, connected: true, failures: 0 })
  })

  test('does not skip a commit that follows another at once', async () => {
    const first = await watch((batch) => {
      const [change] = batch.changes
      return change?.type === 'change' && change.key === 1 ? undefined : new Promise(() => undefined)
    })
    const { batches } = first
    const [one, two] = [await database.connect(), await database.connect()]
    await one.query('begin; insert into base values (1)')
    await two.query('begin; insert into base values (2)')
    // Both commits stand side by side in the log.
    await one.query('commit')
    await two.query('commit')
    await until('both announcements', () => batches.length === 2)
    await until('the first to be acknowledged', () => first.source.stats().transactions === 1)
    await first.source.stop()
    const { changes } = await watch()
    expect(await changes()).toMatchObject([{ key: 2 }])
  })

  test('ends in time though the layer never answers, and emits nothing afterwards', async () => {
    const clock = fakeClock()
    const { source, batches } = await watch(() => new Promise(() => undefined), { clock })
    await database.pool.query('insert into base values (1)')
    await until('the announcement', () => batches.length > 0)
    await source.stop()
    await database.pool.query('insert into base values (2)')
    expect(batches).toHaveLength(1)
    await until('all timers to be gone', async () => {
      await clock.advance(1_000)
      return clock.timers === 0
    })
    const { changes } = await watch()
    expect(await changes()).toMatchObject([{ key: 1 }, { key: 2 }])
  })

  test('of two sources one reads; the other takes over when the first ends', async () => {
    const [first, second] = [await watch(), await watch()]
    await until('a reader', () => first.source.stats().leader || second.source.stats().leader)
    await database.pool.query('insert into base values (1)')
    await until('the announcement', () => first.batches.length + second.batches.length > 0)
    const [reader, other] = first.batches.length > 0 ? [first, second] : [second, first]
    expect(await reader.changes()).toMatchObject([{ key: 1 }])
    expect(other.batches).toEqual([])
    await reader.source.stop()
    await database.pool.query('insert into base values (2)')
    expect(await other.changes()).toMatchObject([{ key: 2 }])
    expect(other.reports).toEqual([])
  })

  test('comes back when its connections are cut, and tells of it once', async () => {
    const { source, changes, reports } = await watch()
    await database.pool.query('insert into base values (1)')
    await changes()
    await database.pool.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'rtapi' and datname = current_database()",
    )
    await until('the loss', () => source.stats().failures > 0)
    await database.pool.query('insert into base values (2)')
    expect(await changes()).toMatchObject([{ key: 2 }])
    expect(reports).toHaveLength(1)
  })

  test('lets the log go that is none of its business', async () => {
    const clock = fakeClock()
    const { source } = await watch(() => undefined, { clock })
    await slot.untilActive(database)
    await database.pool.query('create table other (id integer)')
    await database.pool.query('insert into other select generate_series(1, 10000)')
    const [place] = await database.rows<{ lsn: string }>('select pg_current_wal_lsn()::text as lsn')
    await until('the slot to move on', async () => {
      await clock.advance(10_000)
      const found = await database.rows(
        'select from pg_replication_slots where slot_name = $1 and confirmed_flush_lsn >= $2',
        [slot.name, place?.lsn],
      )
      return found.length > 0
    })
    expect((await source.lag()).log).toBe('reserved')
    await database.pool.query('drop table other')
  })

  test('tells how far it is behind, and alarms once when that lasts', async () => {
    const clock = fakeClock()
    const { source, reports } = await watch(() => false, { clock, alarmLag: 1_000 })
    await database.pool.query('insert into base select generate_series(1, 100)')
    await until('the refusal', () => source.stats().refused > 0)
    expect((await source.lag()).lag).toBeGreaterThan(1_000)
    await until('the alarms', async () => {
      await clock.advance(10_000)
      return reports.length > 1
    })
    await clock.advance(100_000)
    expect(reports.map(({ during }) => during)).toEqual(['postgres.lag', 'postgres.lag'])
    expect(source.stats().troubledFor).toBeGreaterThanOrEqual(30_000)
    await source.stop()
    await expect(source.lag()).rejects.toMatchObject({ code: 'unavailable' })
  })

  test('announces everything as changed where the slot was lost, and is not content before that was taken', async () => {
    await slot.drop(database)
    await database.pool.query('insert into base values (1)')
    let isTaken = false
    const { source, reports, batches, changes } = await watch(() => isTaken)
    await until('the announcement', () => source.stats().refused > 0)
    expect(reports).toMatchObject([{ error: { code: 'slot_lost' }, during: 'postgres.source' }])
    await source.stop()
    // Whoever comes next has it from the slot, though that is not new any more.
    isTaken = true
    batches.length = 0
    const next = await watch()
    const everything = [...new Set(tables.map(({ entity }) => entity))].toSorted()
    expect((await next.changes()).map(({ type, entity }) => `${type} ${entity}`).toSorted()).toEqual(
      everything.map((entity) => `coarse ${entity}`),
    )
    expect(next.reports).toEqual([])
    await database.pool.query('insert into base values (2)')
    expect(await next.changes()).toMatchObject([{ key: 2 }])
    expect(await changes()).toEqual([])
  })

  test('does not start where tables are not published, or the slot is of another database', async () => {
    const open = (options: Partial<ReplicationSourceOptions>) =>
      replicationSource({ connection: database.url, tables, slot: slot.name, publication, ...options }).start(
        () => undefined,
      )
    await expect(open({ publication: 'nothing' })).rejects.toMatchObject({ code: 'not_installed' })
    await database.pool.query(`alter publication "odd ""name"", of a publication" drop table base`)
    await expect(open({})).rejects.toThrow('the publication \'odd "name", of a publication\' does not have public.base')
    const other = await openDatabase(ddl)
    await removeReplication(await other.connect(), { slot: slot.name })
    await expect(installReplication(await other.connect(), tables, { slot: slot.name })).rejects.toThrow('name another')
    await other.close()
    expect(() => replicationSource({ connection: '', tables, slot: 'Bad "slot"' })).toThrow(TypeError)
  })
})
