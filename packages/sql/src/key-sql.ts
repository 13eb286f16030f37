import { type Key, parseValue } from '@rtapi/core'
import type { Column, Dialect, Sql } from './dialects/dialect.ts'
import { join, never } from './dialects/sql.ts'

/**
 * The condition that the key of a row is one of these; `never` if none of them can be.
 * @param columns - those of the key, in order.
 */
export function keySql(keys: readonly Key[], columns: readonly Column[], dialect: Dialect): Sql {
  const possible = keys.flatMap((key) => {
    const parts = typeof key === 'object' ? key : [key]
    const parsed = columns.map((column, i) => parseValue(column.type, parts[i]))
    const values = parsed.flatMap((part) => ('value' in part && part.value !== null ? [part.value] : []))
    return parts.length === columns.length && values.length === columns.length ? [values] : []
  })
  const [column, ...others] = columns
  if (possible.length === 0 || column === undefined) return never
  if (others.length === 0) return dialect.isAmong(column, possible.flat())
  const isOne = (values: (typeof possible)[number]) =>
    join(
      'and',
      columns.map((part, i) => dialect.isAmong(part, values.slice(i, i + 1))),
    )
  return join('or', possible.map(isOne))
}
