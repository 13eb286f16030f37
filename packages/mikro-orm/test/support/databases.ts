import { randomUUID } from 'node:crypto'
import { MariaDbDriver } from '@mikro-orm/mariadb'
import { PostgreSqlDriver } from '@mikro-orm/postgresql'
import {
  type AbstractSqlDriver,
  MikroORM,
  NodeSqliteDialect,
  type Options,
  type SqlEntityManager,
  SqliteDriver,
} from '@mikro-orm/sql'
import { lend } from '../../../../test/services/lend.ts'
import { entities } from './entities.ts'

export type DatabaseName = 'sqlite' | 'postgres' | 'mariadb'
export type TestOrm = MikroORM<AbstractSqlDriver, SqlEntityManager>

/** Why this database cannot be tried; `undefined` if it can. */
export async function missing(database: DatabaseName): Promise<string | undefined> {
  if (database === 'sqlite') return undefined
  const service = await lend(database)
  return 'missing' in service ? service.missing : undefined
}

/** MikroORM on a new, empty database with the tables of the test entities. */
export async function openOrm(database: DatabaseName, options: Options = {}): Promise<TestOrm> {
  const orm = (await MikroORM.init({ ...(await connectionTo(database)), entities, ...options })) as TestOrm
  await orm.schema.ensureDatabase()
  await orm.schema.create()
  // Keys which the suites give by hand do not move the sequence.
  if (database === 'postgres') await orm.em.execute('alter sequence things_id_seq restart with 1000000')
  return orm
}

async function connectionTo(database: DatabaseName): Promise<Options> {
  if (database === 'sqlite') {
    return { driver: SqliteDriver, dbName: ':memory:', driverOptions: new NodeSqliteDialect(':memory:') }
  }
  const service = await lend(database)
  if ('missing' in service) throw new Error(service.missing)
  return {
    driver: database === 'postgres' ? PostgreSqlDriver : MariaDbDriver,
    clientUrl: service.url,
    dbName: `rtapi_${randomUUID().replaceAll('-', '')}`,
  }
}
