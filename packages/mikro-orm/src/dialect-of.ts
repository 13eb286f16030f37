import type { Platform } from '@mikro-orm/core'
import { type Dialect, mysqlDialect, postgresDialect, sqliteDialect } from '@rtapi/sql'

/**
 * The dialect of a platform of MikroORM.
 * @throws TypeError if there is none.
 */
export function dialectOf(platform: Platform): Dialect {
  const name = platform.constructor.name
  if (/sqlite|libsql/i.test(name)) return sqliteDialect
  if (/postgres/i.test(name)) return postgresDialect
  if (/mysql|mariadb/i.test(name)) return mysqlDialect
  throw new TypeError(`rtapi knows SQLite, PostgreSQL, MariaDB and MySQL, not ${name}`)
}
