import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { type Options, QueryTypes, Sequelize } from 'sequelize'
import { lend } from '../../../../test/services/lend.ts'
import { scratchFolder } from '../../../../test/services/service.ts'
import { type TestModels, defineModels } from './models.ts'
import { nodeSqlite } from './node-sqlite.ts'

export type DatabaseName = 'sqlite' | 'postgres' | 'mariadb' | 'mysql'

/** A new, empty database with the tables of the test models. */
export interface TestDatabase {
  readonly sequelize: Sequelize
  readonly models: TestModels
  /** Sequelize on connections of its own to the same database. */
  readonly other: Sequelize
  readonly otherModels: TestModels
  /** Deletes all records. */
  clear(): Promise<void>
  close(): Promise<void>
}

/** Why this database cannot be tried; `undefined` if it can. Of `mysql` only the driver is another than of MariaDB. */
export async function missing(database: DatabaseName): Promise<string | undefined> {
  if (database === 'sqlite') return undefined
  const service = await lend(database === 'mysql' ? 'mariadb' : database)
  return 'missing' in service ? service.missing : undefined
}

/** What a test changes of the configuration. */
export type TestOptions = Options

export async function openDatabase(database: DatabaseName, options: TestOptions = {}): Promise<TestDatabase> {
  const place = await makeDatabase(database)
  const open = () => new Sequelize({ ...place.connection, logging: false, ...options })
  const [sequelize, other] = [open(), open()]
  const [models, otherModels] = [defineModels(sequelize), defineModels(other)]
  await sequelize.sync()
  // Keys which the suites give by hand do not move the sequence.
  for (const table of database === 'postgres' ? ['things', 'shelf'] : []) {
    await sequelize.query(`alter sequence ${table}_id_seq restart with 1000000`)
  }
  return {
    sequelize,
    models,
    other,
    otherModels,
    async clear() {
      const { Thing, Shelf, Item, Mark, Note, Folder, Page, Box, Label, BoxLabel, Draft, ...rest } = otherModels
      const inOrder = [Mark, Item, Note, rest.Sample, Shelf, Page, Folder, BoxLabel, Box, Label, Draft]
      for (const model of [...inOrder, rest.Counted, rest.Ticket, Thing]) {
        await other.query(`delete from ${other.getQueryInterface().quoteIdentifier(model.tableName)}`)
      }
    },
    async close() {
      await Promise.all([sequelize.close(), other.close()])
      await place.remove()
    },
  }
}

async function makeDatabase(database: DatabaseName): Promise<{ connection: Options; remove(): Promise<void> }> {
  if (database === 'sqlite') {
    const folder = await scratchFolder('sqlite')
    const storage = join(folder.path, 'test.sqlite')
    return { connection: { dialect: 'sqlite', dialectModule: nodeSqlite, storage }, remove: folder.remove }
  }
  const service = await lend(database === 'mysql' ? 'mariadb' : database)
  if ('missing' in service) throw new Error(service.missing)
  const { hostname, port, username, password } = new URL(service.url)
  const server = { dialect: database, host: hostname, port: Number(port), username, password, logging: false } as const
  const name = `rtapi_${randomUUID().replaceAll('-', '')}`
  const admin = new Sequelize({ ...server, database: database === 'postgres' ? 'postgres' : 'mysql' })
  await admin.query(`create database ${name}`, { type: QueryTypes.RAW })
  await admin.close()
  // The server ends with the run, and its databases with it.
  return { connection: { ...server, database: name }, remove: () => Promise.resolve() }
}
