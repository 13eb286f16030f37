import { Client } from 'pg'
import { expect, onTestFinished, test, vi } from 'vitest'
import { startPostgres } from '../../../test/services/postgres.ts'
import { type LiveTable, SetupError, installReplication, replicationSource } from '../src/index.ts'
import { until } from './support/until.ts'

vi.setConfig({ testTimeout: 120_000 })

const tables: readonly LiveTable[] = [{ table: 'note', entity: 'Note', key: ['id'] }]

test('a slot whose log the server has thrown away is made anew, and everything announced as changed', async () => {
  // A server of its own: what is set here would be the end of the slots of others.
  const server = await startPostgres()
  onTestFinished(async () => server.stop())
  const connection = `${server.url}/postgres`
  const client = new Client(connection)
  onTestFinished(async () => client.end())
  await client.connect()
  await client.query('create table note (id integer primary key)')
  await client.query("alter system set max_slot_wal_keep_size = '1MB'")
  await client.query('select pg_reload_conf()')
  await installReplication(client, tables)
  await until('the server to throw away the log', async () => {
    await client.query('insert into note select coalesce(max(id), 0) + 1 from note; select pg_switch_wal(); checkpoint')
    const { rows } = await client.query<{ log: string }>('select wal_status as log from pg_replication_slots')
    return rows[0]?.log === 'lost'
  })
  const reports: unknown[] = []
  const announced: unknown[] = []
  const source = replicationSource({
    connection,
    tables,
    poll: 20,
    report: (error) => void reports.push(error),
  })
  onTestFinished(async () => source.stop())
  await source.start((batch) => void announced.push(...batch.changes))
  await until('the announcement', () => announced.length > 0)
  expect(announced).toEqual([{ type: 'coarse', entity: 'Note' }])
  expect(reports).toHaveLength(1)
  expect(reports[0]).toBeInstanceOf(SetupError)
  expect(reports[0]).toMatchObject({ code: 'slot_lost' })
  expect(source.stats().newSlots).toBe(1)
  await client.query('insert into note values (-1)')
  await until('the next change', () => announced.length > 1)
  expect(announced[1]).toMatchObject({ key: -1 })
  await source.stop()
})
