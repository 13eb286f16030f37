import { type Dialect, mysqlDialect, postgresDialect, sqliteDialect } from '@rtapi/sql'

/**
 * The dialect of this name in Sequelize.
 * @throws TypeError if rtapi does not know it.
 */
export function dialectOf(name: string): Dialect {
  switch (name) {
    case 'sqlite':
      return sqliteDialect
    case 'postgres':
      return postgresDialect
    case 'mysql':
    case 'mariadb':
      return mysqlDialect
    default:
      throw new TypeError(`rtapi knows SQLite, PostgreSQL, MariaDB and MySQL, not ${name}`)
  }
}
