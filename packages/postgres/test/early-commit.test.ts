import { Client } from 'pg'
import { expect, onTestFinished, test, vi } from 'vitest'
import { startPostgres } from '../../../test/services/postgres.ts'
import { type LiveTable, installReplication, replicationSource } from '../src/index.ts'
import { until } from './support/until.ts'

vi.setConfig({ testTimeout: 120_000 })

const tables: readonly LiveTable[] = [{ table: 'note', entity: 'Note', key: ['id'] }]

test('a commit that stands in the log before others see it is announced when they do', async () => {
  // A server of its own, whose commits are held up there: they wait for a standby that does not exist.
  const server = await startPostgres()
  onTestFinished(async () => server.stop())
  const connection = `${server.url}/postgres`
  const open = async (): Promise<Client> => {
    const client = new Client(connection)
    onTestFinished(async () => client.end())
    await client.connect()
    return client
  }
  const [client, writer] = [await open(), await open()]
  await client.query('create table note (id integer primary key)')
  await installReplication(client, tables)
  const read: Promise<unknown>[] = []
  const source = replicationSource({ connection, tables, poll: 20 })
  onTestFinished(async () => source.stop())
  await source.start(({ changes }) => {
    if (changes.some(({ type }) => type === 'change'))
      read.push(client.query<{ id: number }>('select id from note').then(({ rows }) => rows))
    return true
  })
  await until('the source to read', async () => {
    const { rows } = await client.query<{ active: boolean }>('select active from pg_replication_slots')
    return rows[0]?.active === true
  })

  await client.query("alter system set synchronous_standby_names = 'nobody'")
  await client.query('select pg_reload_conf()')
  await until('commits to wait', async () => {
    const { rows } = await client.query<{ names: string }>(
      "select current_setting('synchronous_standby_names') as names",
    )
    return rows[0]?.names === 'nobody'
  })
  await writer.query('set synchronous_commit = on')
  const written = writer.query('insert into note values (1)')
  await until('the commit to stand in the log', async () => {
    const { rows } = await client.query(
      `select from pg_stat_activity a, pg_stat_replication r
       where a.wait_event = 'SyncRep' and r.sent_lsn >= pg_current_wal_flush_lsn()`,
    )
    return rows.length > 0
  })
  // What was sent has come by the time that the source has looked at its slot again, and again.
  for (let i = 0; i < 20; i++) await source.lag()
  expect(read).toEqual([])

  await client.query('alter system reset synchronous_standby_names')
  await client.query('select pg_reload_conf()')
  await written
  await until('the announcement', () => read.length > 0)
  expect(await read[0]).toEqual([{ id: 1 }])
  await source.stop()
})
