import { randomUUID } from 'node:crypto'
import { Client, Pool, type QueryResultRow } from 'pg'
import { lend } from '../../../../test/services/lend.ts'

/** A new, empty database. */
export interface TestDatabase {
  readonly url: string
  /** Connections of a program that knows nothing of rtapi. */
  readonly pool: Pool
  /** One connection of such a program, as `psql` has it; ended with the database. */
  connect(options?: { readonly user?: string; readonly password?: string }): Promise<Client>
  rows<Row extends QueryResultRow>(sql: string, values?: readonly unknown[]): Promise<readonly Row[]>
  /** Ends those connections. */
  disconnect(): Promise<void>
  close(): Promise<void>
}

/** Why there is no PostgreSQL to try; `undefined` if there is. */
export async function missing(): Promise<string | undefined> {
  const service = await lend('postgres')
  return 'missing' in service ? service.missing : undefined
}

export async function openDatabase(ddl = ''): Promise<TestDatabase> {
  const service = await lend('postgres')
  if ('missing' in service) throw new Error(service.missing)
  return openDatabaseAt(service.url, ddl)
}

/** A new database of a server. */
async function openDatabaseAt(server: string, ddl: string): Promise<TestDatabase> {
  const name = `rtapi_${randomUUID().replaceAll('-', '')}`
  const admin = new Client({ connectionString: `${server}/postgres` })
  await admin.connect()
  await admin.query(`create database ${name}`)
  // Else the log is written every 200 ms, and comes no sooner.
  await admin.query(`alter database ${name} set synchronous_commit = on`)
  await admin.end()
  const url = `${server}/${name}`
  const pool = new Pool({ connectionString: url, max: 10 })
  pool.on('error', () => undefined)
  const clients: Client[] = []
  if (ddl !== '') await pool.query(ddl)
  const disconnect = async () => void (await Promise.all(clients.splice(0).map((client) => client.end())))
  return {
    url,
    pool,
    async connect(options = {}) {
      const address = new URL(url)
      if (options.user !== undefined) address.username = options.user
      if (options.password !== undefined) address.password = options.password
      const client = new Client({ connectionString: address.href })
      client.on('error', () => undefined)
      await client.connect()
      clients.push(client)
      return client
    },
    async rows<Row extends QueryResultRow>(sql: string, values: readonly unknown[] = []) {
      return (await pool.query<Row>(sql, [...values])).rows
    },
    disconnect,
    async close() {
      await Promise.all([disconnect(), pool.end()])
    },
  }
}
