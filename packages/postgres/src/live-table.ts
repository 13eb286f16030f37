import { createHash } from 'node:crypto'
import type { FieldType } from '@rtapi/core'

/**
 * A column of a table. The type of its values on the wire is that of the column in the database, unless the store of the
 * entity says another: then name it, such as `integer` for a `bigint` that the store reads as a number.
 */
export type LiveColumn = string | { readonly column: string; readonly type?: FieldType }

/** A table whose rows are records of an entity. */
export interface LiveTable {
  /** As the database spells it, without quotes. */
  readonly table: string
  /** @default 'public' */
  readonly schema?: string
  /** As `Store.entity` names it. */
  readonly entity: string
  /** The columns of the key, in the order in which the store has them. They must not be null. */
  readonly key: readonly [LiveColumn, ...LiveColumn[]]
  /**
   * The fields that route a change to its groups, and the scopes that hang on it, by their names on the wire. Nothing else
   * of a row is copied. Fields of a group that are not named here make every change concern every group.
   * @default {}
   */
  readonly fields?: Readonly<Record<string, LiveColumn>>
  /**
   * Rows of this table are only a part of the records of the entity, such as those of a table between two others: however
   * they are written, the record of their key was updated.
   * @default false
   */
  readonly part?: boolean
}

/** Where the outbox is and how much it says. The source and the setup need the same. */
export interface OutboxOptions {
  /** The schema of the outbox, which nothing else should be in. @default 'rtapi' */
  readonly schema?: string
  /**
   * A statement, or a transaction, that writes more records of an entity than this is announced as a coarse change. More
   * than `limits.coarseKeys` of `createApi` is of no use. @default 1_000
   */
  readonly coarseKeys?: number
  /**
   * Whether commits wake the source by NOTIFY. Without, it finds changes by looking, and transactions that write can be
   * prepared (`PREPARE TRANSACTION`). @default true
   */
  readonly notify?: boolean
  /** The role of the programs that run the source, if it is not the one that installs: it may read the outbox and delete from it. */
  readonly role?: string
}

/** Outbox options with their defaults. */
export type OutboxPlace = Required<Omit<OutboxOptions, 'role'>> & Pick<OutboxOptions, 'role'>

/** Fills in the defaults. @throws TypeError for a schema that others use, or a number that is none. */
export function outboxPlace(options: OutboxOptions): OutboxPlace {
  const { schema = 'rtapi', coarseKeys = 1_000, notify = true, role } = options
  if (schema === 'public' || schema.startsWith('pg_') || schema === 'information_schema') {
    throw new TypeError(`the outbox needs a schema of its own, such as 'rtapi'; '${schema}' is used by others`)
  }
  if (!Number.isSafeInteger(coarseKeys) || coarseKeys < 1) {
    throw new TypeError(`coarseKeys is a whole number above 0, not ${coarseKeys}`)
  }
  checkName(schema, 'the schema of the outbox')
  if (role !== undefined) checkName(role, 'the role')
  return { schema, coarseKeys, notify, ...(role === undefined ? {} : { role }) }
}

/** The name of a table for programs, which no other table has. */
export function tableId({ schema = 'public', table }: { readonly schema?: string; readonly table: string }): string {
  return JSON.stringify([schema, table])
}

/** The name of a table for people. */
export function tableName({ schema = 'public', table }: { readonly schema?: string; readonly table: string }): string {
  return `${schema}.${table}`
}

/** A table with what is to be announced of its rows: usually one entity. */
export interface TableCapture {
  readonly schema: string
  readonly table: string
  readonly entries: readonly LiveTable[]
}

/**
 * What is to be captured of each table, in the order of their names.
 * @throws TypeError if a table is described in a way that cannot be.
 */
export function capturesOf(tables: readonly LiveTable[]): readonly TableCapture[] {
  if (tables.length === 0) throw new TypeError('no tables are named')
  const captures = new Map<string, { schema: string; table: string; entries: LiveTable[] }>()
  for (const entry of tables) {
    const { table, schema = 'public', entity } = entry
    checkName(table, 'a table')
    checkName(schema, `the schema of '${table}'`)
    for (const name of [entity, ...Object.keys(entry.fields ?? {})]) {
      if (name === '' || name.includes('\0'))
        throw new TypeError(`the table '${table}' has an entity or field without name`)
    }
    if (entry.key.length === 0) throw new TypeError(`the table '${table}' has no key`)
    for (const column of columnsOf(entry)) checkName(column, `a column of '${table}'`)
    const name = tableId(entry)
    const capture = captures.get(name) ?? { schema, table, entries: [] }
    captures.set(name, capture)
    if (capture.entries.some((other) => other.entity === entity && keyText(other) === keyText(entry))) {
      throw new TypeError(`the table '${table}' is named twice for the entity '${entity}'`)
    }
    capture.entries.push(entry)
  }
  return [...captures.entries()].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, capture]) => capture)
}

/** The name of a column. */
export function columnName(column: LiveColumn): string {
  return typeof column === 'string' ? column : column.column
}

/** The name of a capture's function: readable, unless it is longer than PostgreSQL allows, or a dot makes it ambiguous. */
export function captureName({ schema, table }: TableCapture): string {
  const name = `capture_${schema}.${table}`
  const isClear = !schema.includes('.') && !table.includes('.') && Buffer.byteLength(name) <= MAX_NAME
  return isClear ? name : `capture_${shortHash(tableId({ schema, table }))}`
}

/** The beginning of a SHA-256, to tell texts apart. */
export function shortHash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16)
}

const MAX_NAME = 63

function columnsOf({ key, fields = {} }: LiveTable): readonly string[] {
  return [...key, ...Object.values(fields)].map(columnName)
}

function keyText({ key }: LiveTable): string {
  return JSON.stringify(key.map(columnName))
}

function checkName(name: string, what: string): void {
  if (name === '' || name.includes('\0') || Buffer.byteLength(name) > MAX_NAME) {
    throw new TypeError(`${what} has a name of 1 to ${MAX_NAME} bytes, not ${JSON.stringify(name)}`)
  }
}
