import { MikroORM } from '@mikro-orm/core'
import { NodeSqliteDialect, SqliteDriver } from '@mikro-orm/sql'
import { Thing } from './entities.ts'

export async function openSqlite() {
  const orm = await MikroORM.init<SqliteDriver>({
    driver: SqliteDriver,
    dbName: ':memory:',
    driverOptions: new NodeSqliteDialect(':memory:'),
    entities: [Thing],
  })
  await orm.schema.create()
  return orm
}
