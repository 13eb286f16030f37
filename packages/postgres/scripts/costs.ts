/**
 * What hearing of every write costs the writers, and how long after a commit a change is announced: on a PostgreSQL of its
 * own whose disk is never waited for, so that ratios are the worst that can be.
 *
 * node --conditions=rtapi-source packages/postgres/scripts/costs.ts
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { Client } from 'pg'
import { startPostgres } from '../../../test/services/postgres.ts'
import type { ChangeSource } from '@rtapi/core'
import {
  type LiveTable,
  installOutbox,
  installReplication,
  postgresSource,
  removeOutbox,
  replicationSource,
} from '../src/index.ts'

const BLOCKS = 11
const WRITES = 160
const tables: readonly LiveTable[] = [{ table: 'heard', entity: 'Note', key: ['id'], fields: { topicId: 'topic_id' } }]

let updated = 0

const workloads: readonly [name: string, run: (on: Client, table: string) => Promise<void>][] = [
  [
    'insert of one row',
    async (on, table) => void (await on.query(`insert into ${table} (topic_id, text) values (7, 'hello')`)),
  ],
  [
    'update of one row',
    async (on, table) =>
      void (await on.query(`update ${table} set text = 'good bye' where id = $1`, [++updated % 800])),
  ],
  [
    'transaction of 10 inserts',
    async (on, table) => {
      await on.query('begin')
      for (let i = 0; i < 10; i++) await on.query(`insert into ${table} (topic_id, text) values (7, 'hello')`)
      await on.query('commit')
    },
  ],
  [
    'insert of 500 rows',
    async (on, table) =>
      void (await on.query(`insert into ${table} (topic_id, text) select i, 'hello' from generate_series(1, 500) i`)),
  ],
]

// Called by itself: a source in a process of its own, as it is in real life.
const [mode, address] = process.argv.slice(2)
if (mode !== undefined && address !== undefined) {
  const open = mode === 'triggers' ? postgresSource : replicationSource
  await open({ connection: address, tables }).start(() => undefined)
  process.stdout.write('ready')
  process.stdin.resume().on('end', () => process.exit())
} else await measure()

async function measure(): Promise<void> {
  const server = await startPostgres()
  const connection = `${server.url}/postgres`
  const clients = await Promise.all(Array.from({ length: 8 }, () => connect(connection)))
  const [client] = clients
  if (client === undefined) throw new Error('no connection')
  for (const table of ['heard', 'plain']) {
    await client.query(`create table ${table} (id serial primary key, topic_id integer not null, text text not null)`)
    await client.query(`insert into ${table} (topic_id, text) select i, 'hello' from generate_series(1, 1000) i`)
  }
  await compare('nothing installed', clients)
  await installOutbox(client, tables)
  await compare('triggers, nobody reads', clients)
  await client.query('truncate rtapi.outbox')
  await withSource('triggers', connection, () => compare('triggers', clients))
  await installOutbox(client, tables, { notify: false })
  await client.query('truncate rtapi.outbox')
  await compare('triggers without notify, nobody reads', clients)
  await removeOutbox(client)
  await installOutbox(client, tables)
  await latency('triggers', client, postgresSource({ connection, tables }))
  await removeOutbox(client)
  await installReplication(client, tables)
  await withSource('replication', connection, () => compare('replication', clients))
  await latency('replication', client, replicationSource({ connection, tables }))
  await Promise.all(clients.map((made) => made.end()))
  await server.stop()
}

async function withSource(name: string, connection: string, run: () => Promise<void>): Promise<void> {
  const source = spawn(process.execPath, [...process.execArgv, import.meta.filename, name, connection], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  await once(source.stdout, 'data')
  await run()
  source.stdin.end()
  await once(source, 'exit')
}

async function connect(connection: string): Promise<Client> {
  const made = new Client(connection)
  await made.connect()
  await made.query('set synchronous_commit = on')
  return made
}

async function time(writers: readonly Client[], table: string, run: (on: Client, table: string) => Promise<void>) {
  const began = performance.now()
  await Promise.all(
    writers.map(async (on) => {
      for (let i = 0; i < WRITES / writers.length; i++) await run(on, table)
    }),
  )
  return performance.now() - began
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}

async function compare(name: string, clients: readonly Client[]): Promise<void> {
  for (const writers of [clients.slice(0, 1), clients]) {
    for (const [workload, run] of workloads) {
      const times: Record<'heard' | 'plain', number[]> = { heard: [], plain: [] }
      for (let block = 0; block < BLOCKS; block++) {
        // In turns, and each first as often as the other.
        const order = block % 2 === 0 ? (['plain', 'heard'] as const) : (['heard', 'plain'] as const)
        for (const table of order) times[table].push(await time(writers, table, run))
      }
      const [plain, heard] = [median(times.plain), median(times.heard)]
      console.log(
        `${name}, ${writers.length} writers, ${workload}: ${((plain / WRITES) * 1_000).toFixed(0)} µs -> ` +
          `${((heard / WRITES) * 1_000).toFixed(0)} µs, ratio ${(heard / plain).toFixed(2)}`,
      )
    }
  }
}

/** From the answer to the commit until the change is emitted. */
async function latency(name: string, client: Client, source: ChangeSource): Promise<void> {
  let emitted: (() => void) | undefined
  await source.start(() => emitted?.())
  const delays: number[] = []
  for (let i = 0; i < 401; i++) {
    const announced = new Promise<number>((resolve) => (emitted = () => resolve(performance.now())))
    await client.query("insert into heard (topic_id, text) values (7, 'hello')")
    const committed = performance.now()
    delays.push((await announced) - committed)
  }
  await source.stop()
  // The first one waits for the source to begin.
  const sorted = delays.slice(1).toSorted((a, b) => a - b)
  console.log(`${name}: commit to emit, median ${median(sorted).toFixed(2)} ms, p99 ${sorted[395]?.toFixed(2)} ms`)
}
