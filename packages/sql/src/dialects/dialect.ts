import type { FieldType } from '@rtapi/core'

/** A piece of SQL. Each `?` stands for a parameter; identifiers are quoted in place and come from the metadata alone. */
export interface Sql {
  readonly text: string
  readonly params: readonly unknown[]
}

/** A column of the queried table: as quoted SQL, and what it holds. */
export interface Column {
  /** The quoted name, with the table or its alias: an `order by` would take the bare name for that of a selected value. */
  readonly sql: string
  readonly type: FieldType
  readonly nullable: boolean
  /** The type with which the column is declared, such as `datetime(3)` or `varchar(200)`, in any case; '' if unknown. */
  readonly declared: string
  /** Of decimals: how many digits they keep behind the point; absent: unknown. */
  readonly scale?: number | undefined
  /** The collation with which the column is declared; absent: that of the database. */
  readonly collation?: string | undefined
  /** Of an object that is spread over several columns: all of them, as SQL. */
  readonly parts?: readonly string[]
}

/** An operator of SQL that compares two values. */
export type Comparator = '=' | '<>' | '<' | '<=' | '>' | '>='

/** The kinds of databases whose SQL differs. */
export type DatabaseName = 'sqlite' | 'postgres' | 'mysql'

/**
 * How one kind of database compares and sorts as `compareValues` of `@rtapi/core` does. Each method gives SQL that is
 * true where the answer is yes, and false or null where it is no; columns that are null are up to the caller. Values are
 * in wire form. Parameters are strings, numbers, booleans, and `Date` for instants: the adapter hands them to its driver
 * in the form in which the application keeps dates.
 */
export interface Dialect {
  /** Which database; `mysql` is MariaDB too. */
  readonly name: DatabaseName
  /** What to select in place of the column so that the driver hands the value over without loss. */
  readColumn(column: Column): string
  /** Whether the column is equal to one of the values, of which there is at least one. */
  isAmong(column: Column, values: readonly (string | number | boolean)[]): Sql
  /** Compares the column with a value. */
  compare(column: Column, comparator: Comparator, value: string | number | boolean): Sql
  /** Whether the text in the column begins with the prefix; `ignoreCase` takes A–Z for a–z and nothing else. */
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
  /** A deadlock costs a statement its whole transaction, and what is sent after it is committed by itself. */
  readonly endsAtDeadlock: boolean
  /** A savepoint outside of a transaction begins one. */
  readonly beginsAtSavepoint: boolean
}
