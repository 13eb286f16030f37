import { Op } from 'sequelize'

/** So many combinations of the values of several columns are written out; more are not known one by one. */
const MOST = 10_000

/**
 * The values that a condition of Sequelize demands of these columns: no row with others can match it, though not every
 * row with these needs to. `undefined` if the condition leaves one of the columns open.
 * @param where - by the names of the columns.
 * @returns one list for each combination, in the order of the columns.
 */
export function valuesInWhere(where: unknown, columns: readonly string[]): readonly (readonly unknown[])[] | undefined {
  if (columns.length === 0) return undefined
  let combinations: (readonly unknown[])[] = [[]]
  for (const column of columns) {
    const values = demanded(where, column)
    if (values === undefined || values.length * combinations.length > MOST) return undefined
    combinations = combinations.flatMap((parts) => values.map((value) => [...parts, value]))
  }
  return combinations
}

/** What the condition demands of one column, by itself or by one of several that must all hold. */
function demanded(where: unknown, column: string): readonly unknown[] | undefined {
  if (Array.isArray(where)) return firstOf(where, column)
  if (!isPlain(where)) return undefined
  if (Object.hasOwn(where, column)) {
    const values = valuesOf(where[column])
    if (values !== undefined) return values
  }
  const all = where[Op.and]
  return all === undefined ? undefined : demanded(all, column)
}

function firstOf(conditions: readonly unknown[], column: string): readonly unknown[] | undefined {
  for (const condition of conditions) {
    const values = demanded(condition, column)
    if (values !== undefined) return values
  }
  return undefined
}

function valuesOf(condition: unknown): readonly unknown[] | undefined {
  if (isScalar(condition)) return [condition]
  if (Array.isArray(condition)) return condition.every(isScalar) ? condition : undefined
  if (!isPlain(condition)) return undefined
  if (condition[Op.eq] !== undefined) return valuesOf(condition[Op.eq])
  if (Array.isArray(condition[Op.in])) return valuesOf(condition[Op.in])
  const all = condition[Op.and]
  if (all === undefined) return undefined
  for (const part of Array.isArray(all) ? (all as unknown[]) : [all]) {
    const values = valuesOf(part)
    if (values !== undefined) return values
  }
  return undefined
}

function isScalar(value: unknown): boolean {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'bigint'
}

function isPlain(value: unknown): value is Record<PropertyKey, unknown> {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}
