import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import {
  type AbstractSqlDriver,
  MikroORM,
  NodeSqliteDialect,
  type Options,
  type SqlEntityManager,
  SqliteDriver,
} from '@mikro-orm/sql'
import { lend } from '../../../../test/services/lend.ts'
import { scratchFolder } from '../../../../test/services/service.ts'
import { entities, tables } from './entities.ts'

export type DatabaseName = 'sqlite' | 'postgres' | 'mariadb'
export type TestOrm = MikroORM<AbstractSqlDriver, SqlEntityManager>

/** A new, empty database with the tables of the test entities. */
export interface TestDatabase {
  readonly orm: TestOrm
  /** MikroORM on connections of its own to the same database. */
  readonly other: TestOrm
  /** Deletes all records. */
  clear(): Promise<void>
  close(): Promise<void>
}

/** Why this database cannot be tried; `undefined` if it can. */
export async function missing(database: DatabaseName): Promise<string | undefined> {
  if (database === 'sqlite') return undefined
  const service = await lend(database)
  return 'missing' in service ? service.missing : undefined
}

/** What a test changes of the configuration. */
export type TestOptions = Options

export async function openDatabase(database: DatabaseName, options: TestOptions = {}): Promise<TestDatabase> {
  const place = await connectionTo(database)
  const open = async () => (await MikroORM.init({ entities, ...options, ...place.connection() })) as TestOrm
  const [orm, other] = [await open(), await open()]
  await orm.schema.ensureDatabase()
  if (database === 'sqlite') {
    for (const one of [orm, other]) {
      for (const pragma of ['journal_mode = wal', 'synchronous = off']) await one.em.execute(`pragma ${pragma}`)
    }
  }
  await orm.schema.create()
  // Keys which the suites give by hand do not move the sequence.
  for (const table of database === 'postgres' ? ['things', 'shelf', 'person'] : []) {
    await orm.em.execute('alter sequence ?? restart with 1000000', [`${table}_id_seq`])
  }
  return {
    orm,
    other,
    async clear() {
      for (const table of tables) await other.em.execute('delete from ??', [table])
    },
    async close() {
      await Promise.all([orm.close(), other.close()])
      await place.remove()
    },
  }
}

async function connectionTo(database: DatabaseName): Promise<{ connection(): Options; remove(): Promise<void> }> {
  if (database === 'sqlite') {
    const folder = await scratchFolder('sqlite')
    const dbName = join(folder.path, 'test.sqlite')
    return {
      connection: () => ({ driver: SqliteDriver, dbName, driverOptions: new NodeSqliteDialect(dbName) }),
      remove: folder.remove,
    }
  }
  const service = await lend(database)
  if ('missing' in service) throw new Error(service.missing)
  const connection = {
    driver: await driverOf(database),
    clientUrl: service.url,
    dbName: `rtapi_${randomUUID().replaceAll('-', '')}`,
  }
  // The server ends with the run, and its databases with it.
  return { connection: () => connection, remove: () => Promise.resolve() }
}

/** Loaded only where it is used, since loading takes longer than most tests. */
async function driverOf(database: 'postgres' | 'mariadb') {
  if (database === 'postgres') return (await import('@mikro-orm/postgresql')).PostgreSqlDriver
  return (await import('@mikro-orm/mariadb')).MariaDbDriver
}
