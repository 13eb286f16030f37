import { compareValues } from '@rtapi/core'
import { decimalText } from '../decimal-text.ts'
import type { Column, Comparator, Dialect, Sql } from './dialect.ts'
import { compareBeside, inList, join, sql } from './sql.ts'

/**
 * SQLite: text compares byte by byte, which in UTF-8 is by code point; dates are numbers or texts that sort as they do,
 * as the application keeps them; decimals are doubles, or integers where they are whole.
 */
export const sqliteDialect: Dialect = {
  name: 'sqlite',
  locksByWriting: true,
  commitsAtDefinition: false,
  failsAsAWhole: false,
  endsAtDeadlock: false,
  beginsAtSavepoint: true,

  readColumn({ sql: column, type }) {
    // Integers above 2^53 do not fit the numbers of the driver.
    if (type === 'bigint') return `cast(${column} as text)`
    if (type === 'decimal')
      return `case typeof(${column}) when 'integer' then cast(${column} as text) else ${column} end`
    return column
  },

  isAmong(column, values) {
    switch (column.type) {
      case 'decimal':
        return join(
          'or',
          values.map((value) => compareDecimal(column.sql, '=', String(value))),
        )
      case 'bigint':
        return inList(column.sql, 'cast(? as integer)', values)
      case 'date':
        return inList(column.sql, '?', values.map(instant))
      case 'string':
        return inList(textOf(column), '?', values)
      default:
        return inList(column.sql, '?', values)
    }
  },

  compare(column, comparator, value) {
    switch (column.type) {
      case 'decimal':
        return compareDecimal(column.sql, comparator, String(value))
      case 'bigint':
        return sql(`${column.sql} ${comparator} cast(? as integer)`, value)
      case 'date':
        return sql(`${column.sql} ${comparator} ?`, instant(value))
      case 'string':
        return sql(`${textOf(column)} ${comparator} ?`, value)
      default:
        return sql(`${column.sql} ${comparator} ?`, value)
    }
  },

  startsWith(column, prefix, ignoreCase) {
    const text = textOf(column)
    const head = `substr(${text}, 1, ${Array.from(prefix).length})`
    // The functions of SQLite fold A–Z alone.
    if (ignoreCase) return sql(`lower(${head}) = lower(?)`, prefix)
    // The first condition lets an index narrow the search; LIKE would ignore the case of letters.
    return sql(`(${text} >= ? and ${head} = ?)`, prefix, prefix)
  },

  sortable: (column) => (column.type === 'string' ? textOf(column) : column.sql),
  direction: (direction) => direction,
  rounding: () => undefined,
}

/** Columns declared with a type that is no text would turn the text they are compared with into a number. */
function textOf({ sql: column, declared }: Column): string {
  const text = /char|clob|text/i.test(declared) ? column : `cast(${column} as text)`
  return `${text} collate binary`
}

function instant(value: string | number | boolean): Date {
  return new Date(String(value))
}

/**
 * A decimal in the column is the shortest text of a double, so a value that is not such a text lies strictly between
 * two of them: its nearest double stands for it.
 */
function compareDecimal(column: string, comparator: Comparator, value: string): Sql {
  if (/^-?\d{1,18}$/.test(value)) return sql(`${column} ${comparator} cast(? as integer)`, value)
  const near = Number(value)
  const side = compareValues('decimal', decimalText(near), value)
  if (side === 0) return sql(`${column} ${comparator} ?`, near)
  return compareBeside(column, '?', comparator, { value: near, side: side < 0 ? 'below' : 'above' })
}
