import type { Column, Comparator, Dialect, Sql } from './dialect.ts'
import {
  compareBeside,
  compareInstants,
  fractionDigits,
  hasFraction,
  inList,
  join,
  likePattern,
  scaleOf,
  sql,
} from './sql.ts'

/**
 * MariaDB and MySQL: text compares by collations that know no case, accents or blanks at the end, so it is compared as
 * the bytes of its UTF-8. Where the column's own comparison finds at least as much, it is asked too, for its index.
 */
export const mysqlDialect: Dialect = {
  name: 'mysql',
  locksByWriting: false,
  commitsAtDefinition: true,
  failsAsAWhole: false,
  endsAtDeadlock: true,
  beginsAtSavepoint: false,

  readColumn: ({ sql: column }) => column,

  isAmong(column, values) {
    switch (column.type) {
      case 'string':
        return isTextAmong(column, values)
      case 'decimal':
        return join(
          'or',
          values.map((value) => compareDecimal(column, '=', String(value))),
        )
      case 'bigint':
        return inList(column.sql, 'cast(? as signed)', values)
      case 'date':
        if (!hasMicroseconds(column)) return inList(column.sql, '?', values.map(instant))
        return join(
          'or',
          values.map((value) => compareInstants(column.sql, '?', '=', instant(value))),
        )
      default:
        return inList(scalarOf(column), '?', values)
    }
  },

  compare(column, comparator, value) {
    switch (column.type) {
      case 'string':
        if (comparator === '=') return isTextAmong(column, [value])
        return sql(`${bytesOf(column)} ${comparator} ?`, value)
      case 'decimal':
        return compareDecimal(column, comparator, String(value))
      case 'bigint':
        return sql(`${column.sql} ${comparator} cast(? as signed)`, value)
      case 'date':
        if (hasMicroseconds(column)) return compareInstants(column.sql, '?', comparator, instant(value))
        return sql(`${column.sql} ${comparator} ?`, instant(value))
      default:
        return sql(`${scalarOf(column)} ${comparator} ?`, value)
    }
  },

  startsWith(column, prefix, ignoreCase) {
    if (!ignoreCase) return sql(`${bytesOf(column)} like ? escape '!'`, likePattern(prefix))
    // LOWER would fold all letters. A pattern of nothing but classes and code points can be no other pattern.
    return sql(`convert(${column.sql} using utf8mb4) collate utf8mb4_bin regexp ?`, caselessPattern(prefix))
  },

  sortable(column) {
    if (column.type === 'string') return bytesOf(column)
    if (column.type === 'date' && hasMicroseconds(column)) {
      return `timestampadd(microsecond, -(microsecond(${column.sql}) % 1000), ${column.sql})`
    }
    return scalarOf(column)
  },

  direction: (direction) => direction,

  rounding(column) {
    const { scale } = column
    const type = typeOf(column)
    switch (column.type) {
      case 'decimal':
        return scale === undefined ? undefined : (value) => scaleOf(String(value)) > scale
      case 'date':
        return fractionDigits(column, 0) < 3 ? hasFraction : undefined
      case 'number':
        return type.startsWith('double') ? undefined : () => true
      case 'string':
        return /^(char|time)\b/.test(type) ? () => true : undefined
      default:
        return undefined
    }
  },
}

function typeOf({ declared }: Column): string {
  return declared.toLowerCase()
}

/** Collations under which the column itself compares byte for byte, blanks at the end included. */
const EXACT = /^utf8mb4_(nopad_bin|0900_bin)$|^binary$/

function bytesOf({ sql: column, collation }: Column): string {
  return EXACT.test(collation ?? '') ? column : `cast(convert(${column} using utf8mb4) as binary)`
}

function isTextAmong(column: Column, values: readonly unknown[]): Sql {
  const exact = inList(bytesOf(column), '?', values)
  if (bytesOf(column) === column.sql || !/char|text/.test(typeOf(column))) return exact
  return join('and', [inList(column.sql, '?', values), exact])
}

/** A number of four bytes travels as its shortest text, which as a double is another number. */
function scalarOf(column: Column): string {
  const isFloat = column.type === 'number' && typeOf(column).startsWith('float')
  return isFloat ? `cast(cast(${column.sql} as char) as double)` : column.sql
}

/** Decimals have 65 digits, but at most 30 behind the point: what the column cannot hold is compared beside it. */
function compareDecimal(column: Column, comparator: Comparator, value: string): Sql {
  const scale = Math.min(column.scale ?? 30, 30)
  if (scaleOf(value) <= scale) {
    return sql(`${column.sql} ${comparator} cast(? as decimal(65, ${scaleOf(value)}))`, value)
  }
  const cut = value.slice(0, value.length - (scaleOf(value) - scale)).replace(/\.$/, '')
  const side = value.startsWith('-') ? 'above' : 'below'
  return compareBeside(column.sql, `cast(? as decimal(65, ${scale}))`, comparator, { value: cut, side })
}

function hasMicroseconds(column: Column): boolean {
  return fractionDigits(column, 0) > 3
}

function instant(value: string | number | boolean): Date {
  return new Date(String(value))
}

function caselessPattern(prefix: string): string {
  const classes = Array.from(prefix, (character) =>
    /[a-z]/i.test(character)
      ? `[${character.toLowerCase()}${character.toUpperCase()}]`
      : `\\x{${character.codePointAt(0)?.toString(16)}}`,
  )
  return `^${classes.join('')}`
}
