import { type Client, escapeIdentifier } from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import {
  type LiveTable,
  installReplication,
  removeReplication,
  replicationRemovalSql,
  replicationSql,
  replicationStatus,
} from '../src/index.ts'
import { replicationPlace } from '../src/replication-place.ts'
import { makeSlot } from '../src/replication-setup.ts'
import { catalogOf } from './support/catalog.ts'
import { type TestDatabase, missing, openDatabase } from './support/database.ts'
import { freshSlot } from './support/slots.ts'
import { until } from './support/until.ts'

const ddl = `
create table note (id integer primary key, topic_id integer);
create table measure (id integer, day date, primary key (id, day)) partition by range (day);
create table measure_2026 partition of measure for values from ('2026-01-01') to ('2027-01-01');
create table keyless (id integer);
`
const note: LiveTable = { table: 'note', entity: 'Note', key: ['id'] }
const tables: readonly LiveTable[] = [note, { table: 'measure', entity: 'Measure', key: ['id', 'day'] }]

// The machine may be busy.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

const reason = await missing()
describe.skipIf(reason !== undefined)(reason ?? 'installing logical replication', () => {
  let database: TestDatabase
  const slot = freshSlot().name
  beforeAll(async () => {
    database = await openDatabase(ddl)
  })
  afterEach(async () => {
    await removeReplication(await database.connect(), { slot })
    await database.disconnect()
  })
  afterAll(async () => database.close())

  test('twice is as good as once, and removing it leaves nothing', async () => {
    const client = await database.connect()
    const before = await catalogOf(client)
    await installReplication(client, tables, { slot })
    const once = await catalogOf(client)
    expect(once).toContain(`slot ${slot}`)
    expect(once).toContain('published note')
    await installReplication(client, tables, { slot })
    expect(await catalogOf(client)).toEqual(once)
    expect(await replicationStatus(client, tables, { slot })).toMatchObject({
      publication: true,
      tables: [
        { table: 'measure', state: 'installed' },
        { table: 'note', state: 'installed' },
      ],
      slot: { active: false, log: 'reserved' },
    })
    await removeReplication(client, { slot })
    expect(await catalogOf(client)).toEqual(before)
    await removeReplication(client, { slot })
  })

  test('the SQL to read publishes the same, in one transaction of any program', async () => {
    const client = await database.connect()
    const before = await catalogOf(client)
    await client.query(`begin; ${replicationSql(tables)}; commit`)
    const printed = await catalogOf(client)
    await installReplication(client, tables, { slot })
    expect(await catalogOf(client)).toEqual([...printed, `slot ${slot}`].toSorted())
    await client.query(replicationRemovalSql({ slot }))
    expect(await catalogOf(client)).toEqual(before)
  })

  test('makes the slot while others change tables, who keep it waiting', async () => {
    const [client, first, second] = [await database.connect(), await database.connect(), await database.connect()]
    const pid = await pidOf(client)
    const waitsFor = async (other: number): Promise<true> =>
      until('the slot to wait', async () => {
        const { rows } = await database.pool.query<{ waits: boolean }>(
          'select $1 = any (pg_blocking_pids($2)) as waits',
          [other, pid],
        )
        return rows[0]?.waits === true
      })
    await first.query('begin; create table early (id integer primary key)')
    const installed = installReplication(client, [note], { slot })
    await waitsFor(await pidOf(first))
    await second.query('begin; create table late (id integer primary key)')
    await first.query('commit; begin; alter table early add name text; commit')
    await waitsFor(await pidOf(second))
    await second.query('commit; drop table early, late')
    await installed
    const { rows } = await client.query<{ data: Buffer }>(
      `select data from pg_logical_slot_peek_binary_changes(
         $1, null, null, 'proto_version', '1', 'publication_names', 'rtapi', 'messages', 'true')`,
      [slot],
    )
    expect(rows.filter(({ data }) => data.includes('rtapi-new-slot'))).toHaveLength(1)
    const { rows: others } = await client.query('select slot_name from pg_replication_slots where active_pid = $1', [
      pid,
    ])
    expect(others).toEqual([])
  })

  test('two who make the slot at once make one', async () => {
    const clients = [await database.connect(), await database.connect(), await database.connect()]
    const blocker = await database.connect()
    await blocker.query('begin; create table busy (id integer)')
    const place = replicationPlace({ slot })
    const made = Promise.all(clients.map(async (client) => makeSlot(client, place)))
    await blocker.query('rollback')
    expect((await made).filter(Boolean)).toEqual([true])
  })

  test('what is no longer named is no longer published', async () => {
    const client = await database.connect()
    await installReplication(client, tables, { slot })
    await installReplication(client, [note], { slot })
    expect((await replicationStatus(client, tables, { slot })).tables).toMatchObject([
      { table: 'measure', state: 'missing' },
      { table: 'note', state: 'installed' },
    ])
  })

  test('names every right that is missing, and does nothing', async () => {
    const name = 'rtapi_test no "replication"'
    const role = escapeIdentifier(name)
    await database.pool.query(`create role ${role} login password 'secret'`)
    onTestFinished(async () => void (await database.pool.query(`drop owned by ${role}; drop role ${role}`)))
    const client = await database.connect({ user: name, password: 'secret' })
    const error: unknown = await installReplication(client, tables, { slot }).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'missing_rights' })
    const message = String(error)
    expect(message).toContain(`alter role ${role} replication`)
    expect(message).toContain('grant create on database "rtapi_')
    expect(message).toContain('it does not own public.note')
  })

  test('refuses a table whose updates would fail from then on', async () => {
    const client = await database.connect()
    const keyless = [{ ...note, table: 'keyless' }]
    await expect(installReplication(client, keyless, { slot })).rejects.toThrow('replica identity full')
    await client.query('alter table keyless replica identity full')
    await installReplication(client, keyless, { slot })
    await client.query('insert into keyless values (1); update keyless set id = 2')
    await client.query('alter table keyless replica identity default')
  })
})

async function pidOf(client: Client): Promise<number> {
  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid')
  return rows[0]?.pid ?? 0
}
