import type { FieldType, Json, Key } from '@rtapi/core'
import { readDate, toWire } from '@rtapi/sql'
import type { ClientBase } from 'pg'
import { type LiveColumn, type LiveTable, columnName, tableName } from './live-table.ts'
import { SetupError } from './setup-error.ts'
import { qualified } from './sql-text.ts'

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
}

/** No group and no scope can hang on what has no order. */
const routingTypes: ReadonlySet<FieldType> = new Set([
  'string',
  'integer',
  'number',
  'bigint',
  'decimal',
  'date',
  'boolean',
])

/** The types of the columns that are announced, on the wire. */
export interface EntryTypes {
  readonly key: readonly FieldType[]
  readonly fields: Readonly<Record<string, FieldType>>
}

/**
 * The types of each entity's key and fields. An entity may lie in several tables, and parts of it in others: its key is
 * that of a table of whole records if there is one.
 * @throws SetupError `wrong_table` for a column that is not there, TypeError for one whose type is not clear.
 */
export async function entityTypes(
  client: ClientBase,
  tables: readonly LiveTable[],
): Promise<ReadonlyMap<string, EntryTypes>> {
  const found = new Map<string, EntryTypes>()
  for (const table of tables.toSorted((a, b) => Number(a.part === true) - Number(b.part === true))) {
    const known = found.get(table.entity)
    const { key, fields } = typesOf(table, await columnTypes(client, table))
    found.set(table.entity, { key: known?.key ?? key, fields: { ...known?.fields, ...fields } })
  }
  return found
}

/** The names of the types of a table's columns; an enumeration is text, a domain is what it is made of. */
async function columnTypes(client: ClientBase, table: LiveTable): Promise<ReadonlyMap<string, string>> {
  const { rows } = await client.query<{ name: string; type: string; kind: string }>(
    `select a.attname::text as name, coalesce(b.typname, t.typname)::text as type,
       coalesce(b.typtype, t.typtype)::text as kind
     from pg_catalog.pg_attribute a join pg_catalog.pg_type t on t.oid = a.atttypid
     left join pg_catalog.pg_type b on t.typtype = 'd' and b.oid = t.typbasetype
     where a.attrelid = to_regclass($1) and a.attnum > 0 and not a.attisdropped`,
    [qualified(table)],
  )
  if (rows.length === 0) throw new SetupError('wrong_table', `there is no table ${tableName(table)}`)
  return new Map(rows.map(({ name, type, kind }) => [name, kind === 'e' ? 'text' : type]))
}

function typesOf(table: LiveTable, types: ReadonlyMap<string, string>): EntryTypes {
  const { key, fields = {} } = table
  const typeOf = (column: LiveColumn): FieldType => {
    const place = `the column '${columnName(column)}' of ${tableName(table)}`
    const found = types.get(columnName(column))
    if (found === undefined) throw new SetupError('wrong_table', `${place} does not exist`)
    const type = (typeof column === 'string' ? undefined : column.type) ?? wireTypes[found]
    if (type === undefined) {
      throw new TypeError(
        `${place} is of the type ${found}, which stores read in several ways: ` +
          "name its type as its store has it, as in { column: 'at', type: 'date' }",
      )
    }
    if (routingTypes.has(type)) return type
    throw new TypeError(`${place} is of the type ${type}: no key, group or scope can hang on it`)
  }
  return {
    key: key.map(typeOf),
    fields: Object.fromEntries(Object.entries(fields).map(([field, column]) => [field, typeOf(column)])),
  }
}

/** A value that the database has written as text, by itself or in JSON; `undefined` if it has no form on the wire. */
function wireValue(type: FieldType, text: string | null | undefined): Json | undefined {
  if (text === undefined || text === null) return text
  switch (type) {
    case 'boolean':
      return text === 'true' || text === 't'
    case 'integer':
      return Number.isSafeInteger(Number(text)) ? Number(text) : undefined
    case 'number':
      return Number.isFinite(Number(text)) ? Number(text) : undefined
    default:
      return convert(type, text)
  }
}

/** Nothing that stands in a table may hold up what comes after it, whatever it is. */
function convert(type: FieldType, text: string): Json | undefined {
  try {
    // What has no time zone is taken for UTC.
    return toWire(type, type === 'date' ? readDate(text, 'Z') : text)
  } catch {
    return undefined
  }
}

/** A key as its store has it, of the texts of its parts; `undefined` if no store can have such a one. */
export function wireKey(types: EntryTypes, texts: readonly (string | null | undefined)[]): Key | undefined {
  const parts = types.key.flatMap((type, i) => {
    const part = wireValue(type, texts[i])
    return typeof part === 'string' || typeof part === 'number' ? [part] : []
  })
  if (parts.length !== types.key.length || parts.length !== texts.length) return undefined
  const [first] = parts
  return parts.length === 1 ? first : parts
}

/** Fields in wire form, those of which nothing is known left out. */
export function wireFields(
  types: EntryTypes,
  texts: Readonly<Record<string, string | null | undefined>>,
): Record<string, Json> {
  const fields: Record<string, Json> = {}
  for (const [field, text] of Object.entries(texts)) {
    const type = types.fields[field]
    const wire = type === undefined ? undefined : wireValue(type, text)
    if (wire !== undefined) fields[field] = wire
  }
  return fields
}
