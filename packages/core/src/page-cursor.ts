import type { Filter } from './filter.ts'
import { allOf, anyOf } from './filter-algebra.ts'
import { RtapiError } from './protocol.ts'
import { type Json, type OrderTerm, type Row, type Scalar, parseValue } from './value.ts'

/**
 * Page cursors by key set: a cursor holds the order's values of the last row shown, and the next page are the rows that
 * sort behind it. It needs no state and stays right while rows come and go.
 */
export function cursorOf(order: readonly OrderTerm[], row: Row): string {
  return encodeURIComponent(JSON.stringify(order.map(([field]) => row[field] ?? null)))
}

/**
 * The rows behind a cursor.
 * @throws RtapiError `bad_request` if the cursor is not one of this order.
 */
export function afterCursor(order: readonly OrderTerm[], cursor: string): Filter {
  const values = readCursor(order, cursor)
  const alternatives: Filter[] = []
  const equal: Filter[] = []
  for (const [i, [field, direction]] of order.entries()) {
    const value = values[i] ?? null
    alternatives.push(allOf(...equal, behind(field, direction, value)))
    equal.push(
      value === null
        ? { type: 'compare', field, operator: 'isNull', value: true }
        : { type: 'compare', field, operator: 'eq', value },
    )
  }
  return anyOf(...alternatives)
}

/** Null sorts lowest: everything else comes after it when ascending, and it comes after everything when descending. */
function behind(field: string, direction: 'asc' | 'desc', value: Scalar): Filter {
  if (direction === 'asc') {
    return value === null
      ? { type: 'compare', field, operator: 'isNull', value: false }
      : { type: 'compare', field, operator: 'gt', value }
  }
  if (value === null) return { type: 'const', value: false }
  return anyOf(
    { type: 'compare', field, operator: 'lt', value },
    { type: 'compare', field, operator: 'isNull', value: true },
  )
}

function readCursor(order: readonly OrderTerm[], cursor: string): readonly Scalar[] {
  const invalid = new RtapiError(
    'bad_request',
    "'after' is no page cursor of this query: use `next` of an earlier reply with the same order",
  )
  let values: Json
  try {
    values = JSON.parse(decodeURIComponent(cursor)) as Json
  } catch {
    throw invalid
  }
  if (!Array.isArray(values) || values.length !== order.length) throw invalid
  return order.map(([, , type], i) => {
    const parsed = parseValue(type, values[i])
    if ('problem' in parsed) throw invalid
    return parsed.value
  })
}
