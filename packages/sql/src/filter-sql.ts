import type { Comparison, Filter } from '@rtapi/core'
import type { Column, Comparator, Dialect, Sql } from './dialects/dialect.ts'
import { always, join, never, sql } from './dialects/sql.ts'

/**
 * A filter as a condition that is true exactly for the rows which `matchesFilter` accepts, and false or null for others.
 * @param columnOf - answers `undefined` for fields that do not exist.
 * @throws TypeError if the filter names such a field, or compares one that cannot be compared.
 */
export function filterSql(filter: Filter, dialect: Dialect, columnOf: (field: string) => Column | undefined): Sql {
  switch (filter.type) {
    case 'const':
      return filter.value ? always : never
    case 'and':
    case 'or':
      return join(
        filter.type,
        filter.filters.map((inner) => filterSql(inner, dialect, columnOf)),
      )
    default: {
      const column = columnOf(filter.field)
      if (column === undefined)
        throw new TypeError(`the filter names the field '${filter.field}', which does not exist`)
      return comparisonSql(filter, dialect, column)
    }
  }
}

const comparators = { eq: '=', ne: '<>', lt: '<', lte: '<=', gt: '>', gte: '>=' } as const satisfies Record<
  string,
  Comparator
>

function comparisonSql(comparison: Comparison, dialect: Dialect, column: Column): Sql {
  if (comparison.operator === 'isNull') return nullTest(column, comparison.value)
  if (column.type === 'json' || column.type === 'bytes') {
    throw new TypeError(`the filter compares '${comparison.field}', which holds ${column.type}`)
  }
  switch (comparison.operator) {
    case 'in':
      return comparison.value.length === 0 ? never : dialect.isAmong(column, comparison.value)
    case 'nin':
      return comparison.value.length === 0 ? always : opposite(dialect.isAmong(column, comparison.value), column)
    case 'startsWith':
      return dialect.startsWith(column, comparison.value, comparison.ignoreCase)
    case 'notStartsWith':
      return opposite(dialect.startsWith(column, comparison.value, comparison.ignoreCase), column)
    case 'ne':
      return opposite(dialect.compare(column, '=', comparison.value), column)
    default:
      return dialect.compare(column, comparators[comparison.operator], comparison.value)
  }
}

/** An embedded object is null where all of its columns are. */
function nullTest({ sql: column, parts = [column] }: Column, isNull: boolean): Sql {
  const test = parts.map((part) => `${part} is ${isNull ? '' : 'not '}null`).join(isNull ? ' and ' : ' or ')
  return sql(parts.length === 1 ? test : `(${test})`)
}

/** Null is among the opposite, though it is neither in SQL. */
function opposite(piece: Sql, column: Column): Sql {
  const text = `not (${piece.text})`
  return { text: column.nullable ? `(${column.sql} is null or ${text})` : text, params: piece.params }
}
