import { type EntityMetadata, Utils } from '@mikro-orm/core'
import type { Key } from '@rtapi/core'
import { NoWireValue } from '@rtapi/sql'
import type { EntityShape } from './entity-shape.ts'
import { keyOfKnown } from './record.ts'
import { toWire } from './wire-value.ts'

/** What the driver answers, as far as it is read here. */
export interface DriverResult {
  readonly affectedRows?: number
  readonly insertId?: unknown
  readonly row?: Readonly<Record<string, unknown>>
  readonly rows?: readonly (Readonly<Record<string, unknown>> | undefined)[]
}

/** The rows of an insert, and what the database has answered. */
export interface Insert {
  readonly index: number
  /** How many rows there are. */
  readonly count: number
  readonly result: DriverResult
  /** The database answers the first generated key alone, from which MikroORM computes the others. */
  readonly computed: boolean
}

/** The key of an inserted row, from its data or from what the database answered; in a list. */
export function insertedKey(
  shape: EntityShape,
  payload: unknown,
  { index, count, result: { rows, row, insertId }, computed }: Insert,
): readonly Key[] | undefined {
  const returned = rows?.[index] ?? (count === 1 ? row : undefined)
  const parts = (shape.key ?? []).map(({ property }) => {
    const given = isObject(payload) ? payload[property.name] : undefined
    const answered = returned?.[property.fieldNames[0] ?? ''] ?? returned?.[property.name]
    const isGenerated = property.autoincrement === true
    if (isScalar(given) && (computed || answered === undefined)) return given
    const fallback = isGenerated && count === 1 && shape.key?.length === 1 ? insertId : undefined
    return (computed && !isGenerated ? undefined : answered) ?? fallback
  })
  const key = wireKey(shape, parts)
  return key === undefined ? undefined : [key]
}

/**
 * Whether MikroORM computes the key of a row from the first generated one, though rows with given keys are among them:
 * it is then not what the database has generated.
 */
export function isGuessed({ meta }: EntityShape, payload: unknown, all: readonly unknown[]): boolean {
  const [key, ...others] = meta.getPrimaryProps()
  if (key?.autoincrement !== true || others.length > 0) return false
  // Zero asks for a generated key.
  const isGiven = (row: unknown): boolean => isObject(row) && Number(row[key.name] ?? 0) !== 0
  return !isGiven(payload) && all.some(isGiven)
}

/** The keys that a condition is about: it may hold further conditions, but no record with another key. */
export function keysOfWhere(shape: EntityShape, where: unknown): readonly Key[] | undefined {
  const keys = keyList(shape.meta, where)?.map((key) => wireKey(shape, Array.isArray(key) ? (key as unknown[]) : [key]))
  return keys?.every((key) => key !== undefined) === true ? keys : undefined
}

/** The keys in a condition, in the form of the statement. */
export function keyList(meta: EntityMetadata, where: unknown): readonly unknown[] | undefined {
  if (Utils.isPrimaryKey(where) && !meta.compositePK) return [where]
  if (!Utils.isPlainObject<Record<string, unknown>>(where)) return undefined
  const own = where[Utils.getPrimaryKeyHash(meta.primaryKeys)]
  if (own !== undefined && own !== null) return valuesOf(own, meta)
  if (meta.compositePK && meta.primaryKeys.every((key) => isScalar(where[key]))) {
    return [meta.primaryKeys.map((key) => where[key])]
  }
  const all = where['$and']
  if (!Array.isArray(all)) return undefined
  for (const part of all as unknown[]) {
    const keys = keyList(meta, part)
    if (keys !== undefined) return keys
  }
  return undefined
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

function valuesOf(condition: unknown, meta: EntityMetadata): readonly unknown[] | undefined {
  if (isScalar(condition)) return [condition]
  if (Array.isArray(condition)) {
    const isOneKey = meta.compositePK && condition.every(isScalar)
    return isOneKey ? [condition] : (condition as unknown[])
  }
  if (!isObject(condition)) return undefined
  if (Array.isArray(condition['$in'])) return condition['$in'] as unknown[]
  return '$eq' in condition ? valuesOf(condition['$eq'], meta) : undefined
}

function isScalar(value: unknown): boolean {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'bigint'
}

/** A key in the form of a statement, as something a `Set` can hold. */
export function keyText(key: unknown): string {
  return Array.isArray(key) ? JSON.stringify(key.map(String)) : String(key)
}

function wireKey(shape: EntityShape, parts: readonly unknown[]): Key | undefined {
  const fields = shape.key ?? []
  if (parts.length !== fields.length || !parts.every(isScalar)) return undefined
  try {
    return keyOfKnown(shape, Object.fromEntries(fields.map(({ name, type }, i) => [name, toWire(type, parts[i])])))
  } catch (error) {
    if (error instanceof NoWireValue) return undefined
    throw error
  }
}
