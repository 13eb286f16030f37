import { type Json, type Key, type Row, parseValue } from '@rtapi/core'
import { NoWireValue, toWire } from '@rtapi/sql'
import { isExpression } from './model-class.ts'
import type { Field, ModelShape } from './model-shape.ts'

/** Values of fields that are known for certain, in wire form. */
export type Known = Readonly<Record<string, Json>>

/**
 * What is known of the comparable fields of a record.
 * @param valueOf - the value of a field; `undefined` if it is not known.
 */
export function knownOf({ comparable }: ModelShape, valueOf: (field: Field) => unknown): Record<string, Json> {
  const known: Record<string, Json> = {}
  for (const field of comparable) {
    const value = valueOf(field)
    if (value === undefined || isExpression(value)) continue
    const wire = wireOf(field, value)
    if (wire !== undefined) known[field.name] = wire
  }
  return known
}

/** The key made of values as the application or the database has them; `undefined` if one is missing or is none. */
export function keyOfValues({ key }: ModelShape, values: readonly unknown[]): Key | undefined {
  const parts: (string | number)[] = []
  for (const [i, field] of key.entries()) {
    const value = values[i]
    if (value === undefined || value === null || isExpression(value)) return undefined
    const wire = wireOf(field, value)
    const parsed = parseValue(field.type, wire)
    const part = 'value' in parsed ? parsed.value : undefined
    if (typeof part !== 'string' && typeof part !== 'number') return undefined
    parts.push(part)
  }
  return parts.length === 1 ? parts[0] : parts.length === 0 ? undefined : parts
}

/** The fields of the key in what is known. */
export function keyFieldsOf({ key }: ModelShape, known: Known): Known {
  return Object.fromEntries(key.flatMap(({ name }) => (name in known ? [[name, known[name] ?? null]] : [])))
}

/** The row of values which the store has selected, by the names of the fields. */
export function rowOf({ fields }: ModelShape, valueOf: (field: Field) => unknown): Row {
  const row: Record<string, Json> = {}
  for (const [name, field] of fields) row[name] = wireOf(field, valueOf(field)) ?? null
  return row
}

function wireOf({ type }: Field, value: unknown): Json | undefined {
  try {
    return toWire(type, value)
  } catch (error) {
    if (error instanceof NoWireValue) return undefined
    throw error
  }
}
