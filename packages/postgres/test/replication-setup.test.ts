import { escapeIdentifier } from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import {
  type LiveTable,
  installReplication,
  removeReplication,
  replicationRemovalSql,
  replicationSql,
  replicationStatus,
} from '../src/index.ts'
import { catalogOf } from './support/catalog.ts'
import { type TestDatabase, missing, openDatabase } from './support/database.ts'
import { freshSlot } from './support/slots.ts'

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
