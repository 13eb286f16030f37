import type { EntityProperty, Platform } from '@mikro-orm/core'
import type { FieldType } from '@rtapi/core'
import { mysqlDialect } from './mysql.ts'
import { postgresDialect } from './postgres.ts'
import { sqliteDialect } from './sqlite.ts'

/** A piece of SQL. Each `?` stands for a parameter; identifiers are quoted in place and come from the metadata alone. */
export interface Sql {
  readonly text: string
  readonly params: readonly unknown[]
}

/** A column of the queried table: as quoted SQL, and what it holds. */
export interface Column {
  readonly sql: string
  readonly holder: EntityProperty
  readonly type: FieldType
  readonly nullable: boolean
  /** Of an embedded object that is spread over several columns: all of them, as SQL. */
  readonly parts?: readonly string[]
}

export type Comparator = '=' | '<>' | '<' | '<=' | '>' | '>='

/**
 * How one kind of database compares and sorts as `compareValues` does. Each method gives SQL that is true where the
 * answer is yes, and false or null where it is no; columns that are null are up to the caller.
 */
export interface Dialect {
  /** What to select in place of the column so that the driver hands the value over without loss. */
  readColumn(column: Column): string
  /** Whether the column is equal to one of the values, of which there is at least one. */
  isAmong(column: Column, values: readonly (string | number | boolean)[]): Sql
  compare(column: Column, comparator: Comparator, value: string | number | boolean): Sql
  startsWith(column: Column, prefix: string, ignoreCase: boolean): Sql
  /** An expression that sorts as values are sorted. */
  sortable(column: Column): string
  /** `asc` or `desc` so that null is lowest. */
  direction(direction: 'asc' | 'desc', nullable: boolean): string
  /** Tells of a value whether the column may keep less than it says; absent: the column keeps all. */
  rounding(column: Column): ((value: unknown) => boolean) | undefined
  /** There is no `select … for update`: only a write keeps others from writing until the end of the transaction. */
  readonly locksByWriting: boolean
  /** Data definition commits the open transaction. */
  readonly commitsAtDefinition: boolean
  /** After a failed statement nothing of the transaction can be committed any more. */
  readonly failsAsAWhole: boolean
}

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
