import { escapeIdentifier } from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import {
  type LiveTable,
  SetupError,
  installOutbox,
  outboxRemovalSql,
  outboxSql,
  outboxStatus,
  removeOutbox,
} from '../src/index.ts'
import { catalogOf } from './support/catalog.ts'
import { type TestDatabase, missing, openDatabase } from './support/database.ts'

const ddl = `
create table note (id integer primary key, topic_id integer, text text);
create table measure (id integer, day date, primary key (id, day)) partition by range (day);
create table measure_2026 partition of measure for values from ('2026-01-01') to ('2027-01-01');
`
const note: LiveTable = { table: 'note', entity: 'Note', key: ['id'], fields: { topicId: 'topic_id' } }
const tables: readonly LiveTable[] = [note, { table: 'measure', entity: 'Measure', key: ['id', 'day'] }]

// The machine may be busy.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

const reason = await missing()
describe.skipIf(reason !== undefined)(reason ?? 'installing the outbox', () => {
  let database: TestDatabase
  beforeAll(async () => {
    database = await openDatabase(ddl)
  })
  afterEach(async () => {
    await removeOutbox(await database.connect())
    await database.disconnect()
  })
  afterAll(async () => database.close())

  /** Connects as a new role that may do only what the statements say; `$` stands for its name. */
  async function roleWith(name: string, grants: string) {
    const role = escapeIdentifier(name)
    await database.pool.query(`create role ${role} login password 'secret'`)
    if (grants !== '') await database.pool.query(grants.replaceAll('$', role))
    onTestFinished(async () => void (await database.pool.query(`drop owned by ${role}; drop role ${role}`)))
    return database.connect({ user: name, password: 'secret' })
  }

  test('twice is as good as once, and removing it leaves nothing', async () => {
    const client = await database.connect()
    const before = await catalogOf(client)
    await installOutbox(client, tables)
    const once = await catalogOf(client)
    expect(once).not.toEqual(before)
    await installOutbox(client, tables)
    expect(await catalogOf(client)).toEqual(once)
    await removeOutbox(client)
    expect(await catalogOf(client)).toEqual(before)
    await removeOutbox(client)
    expect(await catalogOf(client)).toEqual(before)
  })

  test('the SQL to read does the same, in one transaction of any program', async () => {
    const client = await database.connect()
    const before = await catalogOf(client)
    await installOutbox(client, tables)
    const installed = await catalogOf(client)
    await removeOutbox(client)
    await client.query(`begin; ${outboxSql(tables)}; commit`)
    expect(await catalogOf(client)).toEqual(installed)
    await client.query(`begin; ${outboxRemovalSql()}; commit`)
    expect(await catalogOf(client)).toEqual(before)
  })

  test('leaves in its schema what others keep there', async () => {
    const client = await database.connect()
    await installOutbox(client, tables)
    await client.query('create table rtapi.mine ()')
    await removeOutbox(client)
    expect((await client.query("select to_regclass('rtapi.mine') as mine")).rows).toEqual([{ mine: 'rtapi.mine' }])
    await client.query('drop schema rtapi cascade')
  })

  test('what is no longer named is no longer captured', async () => {
    const client = await database.connect()
    await installOutbox(client, tables)
    await installOutbox(client, [note])
    expect(await outboxStatus(client, tables)).toMatchObject({
      outbox: true,
      tables: [
        { table: 'measure', state: 'missing' },
        { table: 'note', state: 'installed' },
      ],
    })
  })

  test('sees that a partition was added, and covers it when it is run again', async () => {
    const client = await database.connect()
    await installOutbox(client, tables)
    await client.query(
      "create table measure_2027 partition of measure for values from ('2027-01-01') to ('2028-01-01')",
    )
    expect((await outboxStatus(client, tables)).tables[0]?.state).toBe('outdated')
    await installOutbox(client, tables)
    expect((await outboxStatus(client, tables)).tables[0]?.state).toBe('installed')
    await client.query('drop table measure_2027')
  })

  test('a column is renamed together with its triggers, and not without them', async () => {
    const client = await database.connect()
    await installOutbox(client, tables)
    await client.query('alter table note rename topic_id to subject_id')
    await expect(client.query('insert into note values (1)')).rejects.toThrow('topic_id')
    await client.query('alter table note rename subject_id to topic_id')
    const renamed = [{ ...note, fields: { topicId: 'subject_id' } }]
    await client.query(`begin; alter table note rename topic_id to subject_id; ${outboxSql(renamed)}; commit`)
    await client.query('insert into note values (1, 7)')
    expect((await client.query('select after from rtapi.outbox')).rows).toEqual([{ after: { topicId: 7 } }])
    await client.query('alter table note drop text')
    await client.query('delete from note')
    await client.query('alter table note rename subject_id to topic_id; alter table note add text text')
  })

  test('a table can be dropped', async () => {
    const client = await database.connect()
    await client.query('create table gone (id integer primary key)')
    await installOutbox(client, [...tables, { table: 'gone', entity: 'Gone', key: ['id'] }])
    await client.query('drop table gone')
    await installOutbox(client, tables)
    expect((await outboxStatus(client, tables)).tables.map(({ state }) => state)).toEqual(['installed', 'installed'])
  })

  test('names every right that is missing, and does nothing', async () => {
    const before = await catalogOf(await database.connect())
    const nobody = await roleWith('no "rights"', '')
    const error: unknown = await installOutbox(nobody, tables).catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(SetupError)
    expect(error).toMatchObject({ code: 'missing_rights' })
    const { message } = error as SetupError
    expect(message).toContain('grant create on database "rtapi_')
    expect(message).toContain('grant trigger on "public"."note" to "no ""rights"""')
    expect(message).toContain('grant trigger on "public"."measure" to "no ""rights"""')
    expect(await catalogOf(await database.connect())).toEqual(before)
  })

  test('what it names is enough', async () => {
    const [{ name } = { name: '' }] = await database.rows<{ name: string }>('select current_database() as name')
    const trigger = 'grant trigger on note, measure, measure_2026 to $'
    const client = await roleWith('rtapi_test_enough', `grant create on database ${name} to $; ${trigger}`)
    await installOutbox(client, tables)
    await database.pool.query('insert into note values (2)')
    const other = await roleWith('rtapi_test_other', trigger)
    await expect(installOutbox(other, tables)).rejects.toThrow('belongs to another role')
    await removeOutbox(client)
    await database.pool.query('delete from note')
  })

  test('who writes needs no right on the outbox, cannot look into it, and cannot make its functions do something else', async () => {
    await installOutbox(await database.connect(), tables)
    const writer = await roleWith('rtapi_test_writer', 'grant insert, update, delete, select on note to $')
    await writer.query(`
      create temp table outbox (x text); create temp table new_rows (id integer); create temp table old_rows (id integer);
      create function pg_temp.jsonb_build_array(integer) returns jsonb language sql as 'select ''[666]''::jsonb';
      set search_path = pg_temp, public`)
    await writer.query('insert into public.note values (3, 7)')
    for (const sql of [
      'select * from rtapi.outbox',
      'delete from rtapi.outbox',
      'select rtapi."capture_public.note"()',
      `insert into rtapi.outbox (entity, action) values ('Note', 'coarse')`,
    ])
      await expect(writer.query(sql), sql).rejects.toMatchObject({ code: '42501' })
    expect(await database.rows('select entity, key, after from rtapi.outbox')).toEqual([
      { entity: 'Note', key: [3], after: { topicId: 7 } },
    ])
    await database.pool.query('delete from note')
  })

  test('the role of the programs reads and forgets, and nothing else', async () => {
    const reader = await roleWith('rtapi_test_reader', '')
    await installOutbox(await database.connect(), tables, { role: 'rtapi_test_reader' })
    await reader.query('select * from rtapi.outbox')
    await reader.query('delete from rtapi.outbox')
    await expect(reader.query('truncate rtapi.outbox')).rejects.toMatchObject({ code: '42501' })
    await expect(reader.query('select * from note')).rejects.toMatchObject({ code: '42501' })
  })

  test('does not queue up behind a table that is in use', async () => {
    const holder = await database.connect()
    await holder.query('begin; lock table note in row exclusive mode')
    const client = await database.connect()
    await expect(installOutbox(client, tables)).rejects.toMatchObject({ code: '55P03' })
    await holder.query('rollback')
    expect((await outboxStatus(client, tables)).outbox).toBe(false)
  })

  test.each<[string, readonly LiveTable[], object]>([
    ['no tables', [], {}],
    ['a schema that others use', tables, { schema: 'public' }],
    ['a name that is too long', [{ ...note, table: 'ä'.repeat(32) }], {}],
    ['a name with a zero byte', [{ ...note, entity: 'a\0' }], {}],
    ['a table twice', [note, note], {}],
    ['no coarseness', tables, { coarseKeys: 0 }],
  ])('refuses %s', (_, wrong, options) => {
    expect(() => outboxSql(wrong, options)).toThrow(TypeError)
  })
})
