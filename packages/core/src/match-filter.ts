import type { Comparison, Filter, FieldTypes } from './filter.ts'
import type { FieldType, Row } from './value.ts'
import { foldCase, formOf } from './value-form.ts'

/** Whether a row matches. A field that the row lacks is null. */
export type Matches = (row: Row) => boolean

/** Whether one row matches a filter. For many rows use `compileFilter`. */
export function matchesFilter(filter: Filter, types: FieldTypes, row: Row): boolean {
  return compileFilter(filter, types)(row)
}

/**
 * Makes a function that tells whether a row matches a filter: what can be prepared of the filter is prepared once.
 * @throws TypeError if the filter names a field that `types` lacks.
 */
export function compileFilter(filter: Filter, types: FieldTypes): Matches {
  switch (filter.type) {
    case 'const':
      return filter.value ? () => true : () => false
    case 'and': {
      const all = filter.filters.map((inner) => compileFilter(inner, types))
      return (row) => {
        for (const matches of all) if (!matches(row)) return false
        return true
      }
    }
    case 'or': {
      const some = filter.filters.map((inner) => compileFilter(inner, types))
      return (row) => {
        for (const matches of some) if (matches(row)) return true
        return false
      }
    }
    default:
      return compileComparison(filter, typeOf(types, filter.field))
  }
}

/** @throws TypeError if there is no such field. */
function typeOf(types: FieldTypes, field: string): FieldType {
  const type = Object.hasOwn(types, field) ? types[field] : undefined
  if (type === undefined) throw new TypeError(`the filter names the field '${field}', whose type is not given`)
  return type
}

function compileComparison(comparison: Comparison, type: FieldType): Matches {
  const { field } = comparison
  switch (comparison.operator) {
    case 'isNull': {
      const wanted = comparison.value
      return (row) => ((row[field] ?? null) === null) === wanted
    }
    case 'eq':
      return equals(field, type, comparison.value)
    case 'ne':
      return opposite(equals(field, type, comparison.value))
    case 'in':
      return isAmong(field, type, comparison.value)
    case 'nin':
      return opposite(isAmong(field, type, comparison.value))
    case 'startsWith':
      return startsWith(field, comparison.value, comparison.ignoreCase)
    case 'notStartsWith':
      return opposite(startsWith(field, comparison.value, comparison.ignoreCase))
    default:
      return isOrdered(field, type, comparison.operator, comparison.value)
  }
}

function opposite(matches: Matches): Matches {
  return (row) => !matches(row)
}

/** Types whose values travel in one form each, so that the values themselves can be compared. */
function isIdentity(type: FieldType): boolean {
  return type === 'string' || type === 'integer' || type === 'number' || type === 'boolean'
}

function equals(field: string, type: FieldType, value: string | number | boolean): Matches {
  if (isIdentity(type)) return (row) => row[field] === value
  const form = formOf(type, value)
  return (row) => {
    const found = row[field] ?? null
    return found === value || (found !== null && formOf(type, found) === form)
  }
}

function isAmong(field: string, type: FieldType, values: readonly (string | number | boolean)[]): Matches {
  if (isIdentity(type)) {
    const wanted = new Set<unknown>(values)
    return (row) => wanted.has(row[field])
  }
  const wanted = new Set(values.map((value) => formOf(type, value)))
  return (row) => {
    const found = row[field] ?? null
    return found !== null && wanted.has(formOf(type, found))
  }
}

function startsWith(field: string, prefix: string, ignoreCase: boolean): Matches {
  if (!ignoreCase) {
    return (row) => {
      const found = row[field]
      return typeof found === 'string' && found.startsWith(prefix)
    }
  }
  const folded = foldCase(prefix)
  return (row) => {
    const found = row[field]
    return typeof found === 'string' && foldCase(found.slice(0, folded.length)) === folded
  }
}

type Ordering = 'lt' | 'lte' | 'gt' | 'gte'

function isOrdered(field: string, type: FieldType, operator: Ordering, value: string | number | boolean): Matches {
  const limit = formOf(type, value)
  return typeof limit === 'number'
    ? isNumberOrdered(field, type, operator, limit)
    : isTextOrdered(field, type, operator, limit)
}

function isNumberOrdered(field: string, type: FieldType, operator: Ordering, limit: number): Matches {
  // No comparison with NaN is true, so that null matches none of them.
  const read = (row: Row): number => {
    const found = row[field] ?? null
    return found === null ? Number.NaN : Number(formOf(type, found))
  }
  switch (operator) {
    case 'lt':
      return (row) => read(row) < limit
    case 'lte':
      return (row) => read(row) <= limit
    case 'gt':
      return (row) => read(row) > limit
    default:
      return (row) => read(row) >= limit
  }
}

function isTextOrdered(field: string, type: FieldType, operator: Ordering, limit: string): Matches {
  const read = (row: Row): string | undefined => {
    const found = row[field] ?? null
    return found === null ? undefined : String(formOf(type, found))
  }
  switch (operator) {
    case 'lt':
      return (row) => (read(row) ?? limit) < limit
    case 'lte':
      return (row) => {
        const text = read(row)
        return text !== undefined && text <= limit
      }
    case 'gt':
      return (row) => (read(row) ?? limit) > limit
    default:
      return (row) => {
        const text = read(row)
        return text !== undefined && text >= limit
      }
  }
}
