import { DatabaseSync, type SQLInputValue } from 'node:sqlite'
import {
  type Filter,
  type Key,
  type Query,
  type Row,
  type Store,
  type StoreDescription,
  type WriteResult,
  RtapiError,
  everything,
  parseValue,
} from '@rtapi/core'
import { thingFields } from '@rtapi/testing'
import {
  type Column,
  databaseErrorKind,
  errorOfKind,
  filterSql,
  join,
  keySql,
  type Sql,
  sqliteDialect as dialect,
  toWire,
} from '../../src/index.ts'

const declared: Readonly<Record<string, string>> = {
  id: 'integer primary key',
  text: 'text not null check (length(text) <= 200)',
  weight: 'real',
  quantity: 'integer check (abs(quantity) <= 2147483648)',
  price: 'numeric',
  total: 'integer',
  happenedAt: 'integer',
  done: 'integer not null',
  owner: 'text',
  code: 'text unique',
  version: 'integer not null',
}

const columns: Readonly<Record<string, Column>> = Object.fromEntries(
  Object.entries(thingFields).map(([name, { type, nullable }]) => [
    name,
    { sql: `things."${name}"`, type, nullable, declared: declared[name] ?? '' },
  ]),
)
const names = Object.keys(columns)
const all = names.map((name) => `${dialect.readColumn(columnOf(name))} as "${name}"`).join(', ')

/** As small as a store of `@rtapi/sql` can be: the things of the conformance suites in SQLite, without an ORM. */
export class NodeSqliteStore implements Store {
  readonly entity = 'things'
  readonly #database = new DatabaseSync(':memory:')

  constructor() {
    this.#database.exec(`create table things (${names.map((name) => `"${name}" ${declared[name]}`).join(', ')})`)
  }

  describe(): StoreDescription {
    const { id, ...fields } = thingFields
    return { key: ['id'], fields: { id: { ...id, optional: true }, ...fields } }
  }

  read(keys: readonly Key[]): readonly Row[] {
    return this.#select(keySql(keys, [columnOf('id')], dialect), [], undefined)
  }

  find({ where, order, limit }: Query): readonly Row[] {
    return this.#select(
      filterSql(where, dialect, (name) => columns[name]),
      order,
      limit,
    )
  }

  create(data: Row): WriteResult {
    const values = valuesOf(data)
    const given = Object.keys(values)
    const [row] = this.#write(
      `insert into things (${given.map((name) => `"${name}"`).join(', ')}) values (${given.map(() => '?').join(', ')})`,
      Object.values(values),
    )
    if (row === undefined) throw new Error('nothing was inserted')
    return { row }
  }

  update(key: Key, patch: Row, where: Filter): WriteResult | null {
    const values = valuesOf(patch)
    const matching = this.#matching(key, where)
    // A statement that sets nothing is none.
    const sets = ['"id" = "id"', ...Object.keys(values).map((name) => `"${name}" = ?`)].join(', ')
    const [row] = this.#write(`update things set ${sets} where ${matching.text}`, [
      ...Object.values(values),
      ...matching.params.map(bound),
    ])
    return row === undefined ? null : { row }
  }

  delete(key: Key, where: Filter): WriteResult | null {
    const matching = this.#matching(key, where)
    const [row] = this.#write(`delete from things where ${matching.text}`, matching.params.map(bound))
    return row === undefined ? null : { row }
  }

  #matching(key: Key, where: Filter): Sql {
    const condition = where === everything ? [] : [filterSql(where, dialect, (name) => columns[name])]
    return join('and', [keySql([key], [columnOf('id')], dialect), ...condition])
  }

  #select(where: Sql, order: Query['order'], limit: number | undefined): readonly Row[] {
    const terms = order.map(([name, direction]) => {
      const column = columnOf(name)
      return `${dialect.sortable(column)} ${dialect.direction(direction, column.nullable)}`
    })
    const sorted = terms.length === 0 ? '' : ` order by ${terms.join(', ')}`
    const sql = `select ${all} from things where ${where.text}${sorted} limit ${limit ?? -1}`
    return this.#run(sql, where.params.map(bound))
  }

  #write(sql: string, params: readonly SQLInputValue[]): readonly Row[] {
    try {
      return this.#run(`${sql} returning ${all}`, params)
    } catch (error) {
      const kind = databaseErrorKind(error)
      throw kind === undefined ? error : errorOfKind(kind, error)
    }
  }

  #run(sql: string, params: readonly SQLInputValue[]): readonly Row[] {
    const rows = this.#database.prepare(sql).all(...params)
    return rows.map((row) =>
      Object.fromEntries(names.map((name) => [name, toWire(columnOf(name).type, row[name])] as const)),
    )
  }
}

function columnOf(name: string): Column {
  const column = columns[name]
  if (column === undefined) throw new TypeError(`there is no field '${name}'`)
  return column
}

/** The values of a write as they are kept. */
function valuesOf(data: Row): Record<string, SQLInputValue> {
  const values: Record<string, SQLInputValue> = {}
  for (const [name, value] of Object.entries(data)) {
    const column = columns[name]
    const parsed = column === undefined ? { problem: 'there is no such field' } : parseValue(column.type, value)
    if ('problem' in parsed || (parsed.value === null && column?.nullable === false)) {
      throw new RtapiError('invalid', 'the data does not fit the record')
    }
    const isDate = column?.type === 'date' && parsed.value !== null
    values[name] = bound(isDate ? new Date(String(parsed.value)) : parsed.value)
  }
  return values
}

/** Dates are kept as milliseconds, booleans as 0 and 1. */
function bound(value: unknown): SQLInputValue {
  if (value instanceof Date) return value.getTime()
  return typeof value === 'boolean' ? Number(value) : (value as SQLInputValue)
}
