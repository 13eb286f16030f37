import {
  type Comparison,
  type Filter,
  type OrderTerm,
  type Row,
  type Store,
  compareValues,
  everything,
} from '@rtapi/core'
import { check, checkEqual } from './conformance.ts'
import { type Thing, thingFields } from './things.ts'

/** A promise of stores, tried on an empty table of things. */
export type StoreCase = readonly [name: string, run: (store: Store) => Promise<void>]

export const byId: readonly OrderTerm[] = [['id', 'asc', 'integer']]

export async function fill(store: Store, ...things: readonly Thing[]): Promise<void> {
  for (const data of things) await store.create(data)
}

export async function all(store: Store): Promise<readonly Row[]> {
  return await store.find({ where: everything, order: byId })
}

/** The records of these keys, in their order. */
export async function inOrder(store: Store, keys: readonly number[]): Promise<readonly (Row | undefined)[]> {
  const rows = await store.read(keys)
  return keys.map((key) => rows.find((row) => row['id'] === key))
}

export async function idsWhere(store: Store, where: Filter): Promise<readonly unknown[]> {
  return (await store.find({ where, order: byId })).map((row) => row['id'])
}

export function compare(
  field: keyof Thing,
  operator: 'eq' | 'lt' | 'gt',
  value: string | number | boolean,
): Comparison {
  return { type: 'compare', field, operator, value }
}

export function equals(field: keyof Thing, value: string | number | boolean): Comparison {
  return compare(field, 'eq', value)
}

/** The row must be this one, value for value as `compareValues` sees them: `1.50` is `1.5`. */
export function checkRow(row: Row | undefined, expected: Thing, message: string): void {
  check(row !== undefined, `${message}: there is no row`)
  checkEqual(Object.keys(row).sort(), Object.keys(thingFields).sort(), `${message}: the fields`)
  for (const [field, { type }] of Object.entries(thingFields)) {
    const [found, wanted] = [row[field], expected[field as keyof Thing]]
    const same = typeof found === typeof wanted && (found === null) === (wanted === null)
    check(
      same && (wanted === null || compareValues(type, found, wanted) === 0),
      `${message}: ${field} is ${JSON.stringify(found)}, not ${JSON.stringify(wanted)}`,
    )
  }
}
