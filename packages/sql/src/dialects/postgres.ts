import { isDay } from '../read-date.ts'
import type { Column, Dialect, Sql } from './dialect.ts'
import { compareInstants, fractionDigits, hasFraction, inList, join, likePattern, never, scaleOf, sql } from './sql.ts'

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/**
 * PostgreSQL: text compares by the collation of the column, so that `collate "C"` is asked for wherever order matters;
 * timestamps keep microseconds unless they are declared with fewer digits.
 */
export const postgresDialect: Dialect = {
  name: 'postgres',
  locksByWriting: false,
  commitsAtDefinition: false,
  failsAsAWhole: true,
  endsAtDeadlock: false,
  beginsAtSavepoint: false,

  readColumn: ({ sql: column }) => column,

  isAmong(column, values) {
    switch (column.type) {
      case 'string':
        return isTextAmong(column, values.map(String))
      case 'date':
        if (!hasMicroseconds(column)) return inList(column.sql, '?', values.map(instant))
        return join(
          'or',
          values.map((value) => compareInstants(column.sql, '?', '=', instant(value))),
        )
      default:
        return inList(scalarOf(column), placeholderOf(column), values)
    }
  },

  compare(column, comparator, value) {
    switch (column.type) {
      case 'string':
        if (comparator === '=') return isTextAmong(column, [String(value)])
        return sql(`${textOf(column)} ${comparator} ?`, value)
      case 'date':
        if (hasMicroseconds(column)) return compareInstants(column.sql, '?', comparator, instant(value))
        return sql(`${column.sql} ${comparator} ?`, instant(value))
      default:
        return sql(`${scalarOf(column)} ${comparator} ${placeholderOf(column)}`, value)
    }
  },

  startsWith(column, prefix, ignoreCase) {
    // In the collation C, lower() folds A–Z alone.
    if (ignoreCase) {
      return sql(`lower(${textOf(column)}) like lower(?::text collate "C") escape '!'`, likePattern(prefix))
    }
    return sql(`${textOf(column)} like ? escape '!'`, likePattern(prefix))
  },

  sortable(column) {
    if (column.type === 'string') return isNaturallySorted(column) ? column.sql : textOf(column)
    if (column.type === 'date' && hasMicroseconds(column)) return `date_trunc('milliseconds', ${column.sql})`
    return scalarOf(column)
  },

  direction: (direction, nullable) =>
    !nullable ? direction : direction === 'asc' ? 'asc nulls first' : 'desc nulls last',

  rounding(column) {
    const { scale } = column
    const type = typeOf(column)
    switch (column.type) {
      case 'decimal':
        return scale === undefined ? undefined : (value) => scaleOf(String(value)) > scale
      case 'date':
        return fractionDigits(column, 6) < 3 ? hasFraction : undefined
      case 'number':
        return /double|float8/.test(type) ? undefined : () => true
      case 'string':
        return /^(char|character|bpchar|time|interval)\b/.test(type) && !isText(column) ? () => true : undefined
      default:
        return undefined
    }
  },
}

function typeOf({ declared }: Column): string {
  return declared.toLowerCase()
}

function isText(column: Column): boolean {
  return /^(text|varchar|character varying)\b/.test(typeOf(column))
}

/** Sorted as their text is. */
function isNaturallySorted(column: Column): boolean {
  return typeOf(column) === 'uuid' || typeOf(column) === 'date' || column.collation === 'C'
}

function textOf(column: Column): string {
  return `${isText(column) ? column.sql : `${column.sql}::text`} collate "C"`
}

/** Equality is byte for byte unless the column has a collation of its own; an index of the column may then not serve. */
function isTextAmong(column: Column, values: readonly string[]): Sql {
  const type = typeOf(column)
  if (type === 'uuid' || type === 'date') {
    // A text that is no value of the type is equal to none, and must not reach the database as one.
    const possible = values.filter((value) => (type === 'uuid' ? UUID.test(value) : isDay(value)))
    return possible.length === 0 ? never : inList(column.sql, `?::${type}`, possible)
  }
  if (isText(column) && column.collation === undefined) return inList(column.sql, '?', values)
  return inList(textOf(column), '?', values)
}

/** A number of four bytes travels as its shortest text, which as a double is another number. */
function scalarOf(column: Column): string {
  const isReal = column.type === 'number' && /^(real|float4)/.test(typeOf(column))
  return isReal ? `${column.sql}::text::float8` : column.sql
}

function placeholderOf(column: Column): string {
  if (column.type === 'bigint') return '?::bigint'
  return column.type === 'decimal' ? '?::numeric' : '?'
}

function hasMicroseconds(column: Column): boolean {
  return fractionDigits(column, 6) > 3
}

function instant(value: string | number | boolean): Date {
  return new Date(String(value))
}
