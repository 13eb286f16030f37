import type { FieldType, Json } from '@rtapi/core'
import { NoWireValue, toWire } from '@rtapi/sql'
import type { ClientBase } from 'pg'
import { type LiveColumn, type LiveTable, type TableCapture, columnName } from './live-table.ts'
import { quoted } from './sql-text.ts'

/** Wire types of PostgreSQL's types, for those whose wire form every store agrees on. */
const wireTypes: Readonly<Record<string, FieldType>> = {
  int2: 'integer',
  int4: 'integer',
  int8: 'bigint',
  numeric: 'decimal',
  float4: 'number',
  float8: 'number',
  bool: 'boolean',
  timestamptz: 'date',
  date: 'string',
  text: 'string',
  varchar: 'string',
  bpchar: 'string',
  citext: 'string',
  name: 'string',
  uuid: 'string',
  json: 'json',
  jsonb: 'json',
}

const keyTypes: ReadonlySet<FieldType> = new Set(['string', 'integer', 'number', 'bigint', 'decimal', 'date'])

/** The types of the columns that are announced, on the wire. */
export interface EntryTypes {
  readonly key: readonly FieldType[]
  readonly fields: Readonly<Record<string, FieldType>>
}

/** The types of the columns of a capture's entries, by entity and number of parts of the key. */
export async function readEntryTypes(client: ClientBase, capture: TableCapture): Promise<readonly EntryTypes[]> {
  const name = `${quoted(capture.schema)}.${quoted(capture.table)}`
  const { rows } = await client.query<{ name: string; type: string; kind: string }>(
    `select a.attname::text as name, coalesce(b.typname, t.typname)::text as type, coalesce(b.typtype, t.typtype)::text as kind
     from pg_catalog.pg_attribute a join pg_catalog.pg_type t on t.oid = a.atttypid
     left join pg_catalog.pg_type b on t.typtype = 'd' and b.oid = t.typbasetype
     where a.attrelid = to_regclass($1) and a.attnum > 0 and not a.attisdropped`,
    [name],
  )
  const types = new Map(rows.map(({ name: column, type, kind }) => [column, kind === 'e' ? 'text' : type]))
  return capture.entries.map((entry) => entryTypes(entry, types))
}

function entryTypes({ table, key, fields = {} }: LiveTable, types: ReadonlyMap<string, string>): EntryTypes {
  const typeOf = (column: LiveColumn): FieldType => {
    const declared = typeof column === 'string' ? undefined : column.type
    const found = types.get(columnName(column))
    if (found === undefined) throw new TypeError(`the table '${table}' has no column '${columnName(column)}'`)
    const type = declared ?? wireTypes[found]
    if (type !== undefined) return type
    throw new TypeError(
      `the column '${columnName(column)}' of '${table}' is of the type ${found}, which stores read in several ways: ` +
        "name its type as its store has it, as in { column: 'at', type: 'date' }",
    )
  }
  const keyPart = (column: LiveColumn): FieldType => {
    const type = typeOf(column)
    if (keyTypes.has(type)) return type
    throw new TypeError(`the column '${columnName(column)}' of '${table}' is a ${type}, which no key can be`)
  }
  return {
    key: key.map(keyPart),
    fields: Object.fromEntries(Object.entries(fields).map(([field, column]) => [field, typeOf(column)])),
  }
}

/** A value that the database has written as text; `undefined` if it has no form on the wire. */
export function wireValue(type: FieldType, text: string | null | undefined): Json | undefined {
  if (text === undefined || text === null) return text
  switch (type) {
    case 'boolean':
      return text === 'true'
    case 'json':
      return JSON.parse(text) as Json
    case 'integer':
    case 'number':
      return Number.isFinite(Number(text)) ? Number(text) : undefined
    case 'bytes':
      return undefined
    default:
      return convert(type, text)
  }
}

/** A date and a time of day without a time zone; it is taken for UTC. */
const ZONELESS = /^\d{4,}-\d\d-\d\dT[\d:.]+$/

function convert(type: FieldType, text: string): Json | undefined {
  try {
    return toWire(type, type === 'date' && ZONELESS.test(text) ? `${text}Z` : text)
  } catch (error) {
    if (error instanceof NoWireValue) return undefined
    throw error
  }
}
