/** Short ways to write the few queries which the board's own rules ask. */
import { type Filter, type OrderTerm, type Row, type Scalar, type Store, nothing } from '@rtapi/core'

type Value = Exclude<Scalar, null>

/** One comparison. */
export function where(field: string, operator: 'eq' | 'lt', value: Value): Filter
export function where(field: string, operator: 'in', value: readonly Value[]): Filter
export function where(field: string, operator: 'eq' | 'lt' | 'in', value: Value | readonly Value[]): Filter {
  if (typeof value === 'object') {
    return value.length === 0 ? nothing : { type: 'compare', field, operator: 'in', value }
  }
  return { type: 'compare', field, operator: operator === 'lt' ? 'lt' : 'eq', value }
}

/** Rows that match at least one of the filters. */
export function anyOf(...filters: readonly Filter[]): Filter {
  const possible = filters.filter((filter) => filter !== nothing)
  return possible.length === 0 ? nothing : { type: 'or', filters: possible }
}

/** All matching rows, in ascending order of their key. */
export async function findAll<R extends Row>(store: Store<R, never, never>, filter: Filter): Promise<readonly R[]> {
  return store.find({ where: filter, order: keyOrder(store) })
}

/** A matching row, or `undefined`. */
export async function findOne<R extends Row>(store: Store<R, never, never>, filter: Filter): Promise<R | undefined> {
  const [row] = await store.find({ where: filter, order: keyOrder(store), limit: 1 })
  return row
}

function keyOrder<R extends Row>(store: Store<R, never, never>): readonly OrderTerm[] {
  const { key, fields } = store.describe()
  return key.map((field) => [field, 'asc', fields[field]?.type ?? 'integer'])
}
