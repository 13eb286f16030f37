import { type EntityProperty, type Platform, Reference, ScalarReference, Utils, helper } from '@mikro-orm/core'
import type { Json, Key, Row } from '@rtapi/core'
import { NoWireValue, readDate } from '@rtapi/sql'
import type { EntityShape, Field } from './entity-shape.ts'
import { fieldToWire, fromDatabase, toWire } from './wire-value.ts'

/** A row as the driver hands it over, by the names of the columns. */
export type RawRow = Readonly<Record<string, unknown>>

/** The row of a managed entity: what its properties hold now. */
export function rowOfEntity(shape: EntityShape, entity: object): Row {
  const row: Record<string, Json> = {}
  for (const [name, field] of shape.fields) row[name] = wireOrNull(field, valueOf(field.property, entity))
  return row
}

/** The row of what the driver handed over. Not for entities with embedded fields, which have no column of their own. */
export function rowOfRaw(shape: EntityShape, raw: RawRow, platform: Platform): Row {
  const row: Record<string, Json> = {}
  for (const [name, field] of shape.fields) {
    const given = raw[field.property.fieldNames[0] ?? '']
    const value = field.type === 'date' ? readDate(given, platform.getTimezone()) : given
    row[name] = wireOrNull(field, fromDatabase(field.holder, value, platform))
  }
  return row
}

/**
 * What is known of an entity's comparable fields; fields that are not loaded are missing.
 * @param isKnown - whether the column holds just what the entity does.
 */
export function knownOfEntity(
  shape: EntityShape,
  entity: object,
  isKnown: (field: Field, value: unknown) => boolean = () => true,
): Record<string, Json> {
  const known: Record<string, Json> = {}
  for (const field of shape.comparable) {
    const value = valueOf(field.property, entity)
    if (value !== undefined && isKnown(field, value)) setKnown(known, field, value)
  }
  return known
}

/** What is known from the data that MikroORM compares entities with: values in the form of the database. */
export function knownOfData(shape: EntityShape, data: RawRow, platform: Platform): Record<string, Json> {
  const known: Record<string, Json> = {}
  for (const field of shape.comparable) {
    const value = data[field.property.name]
    if (value !== undefined) setKnown(known, field, fromDatabase(field.holder, value, platform))
  }
  return known
}

/** The key made of these values of fields; `undefined` if one is not known. */
export function keyOfKnown(shape: Pick<EntityShape, 'key'>, known: Readonly<Record<string, Json>>): Key | undefined {
  const parts: (string | number)[] = []
  for (const { name } of shape.key ?? []) {
    const part = known[name]
    if (typeof part !== 'string' && typeof part !== 'number') return undefined
    parts.push(part)
  }
  return parts.length === 1 ? parts[0] : parts.length === 0 ? undefined : parts
}

function setKnown(known: Record<string, Json>, { name, type }: Field, value: unknown): void {
  try {
    known[name] = toWire(type, value)
  } catch (error) {
    if (!(error instanceof NoWireValue)) throw error
  }
}

function wireOrNull(field: Field, value: unknown): Json {
  try {
    return fieldToWire(field, value)
  } catch (error) {
    if (error instanceof NoWireValue) return null
    throw error
  }
}

/** What a property holds; of a relation the key of the target. */
function valueOf(property: EntityProperty, entity: object): unknown {
  const value: unknown = Reflect.get(entity, property.name)
  if (value instanceof ScalarReference) return value.unwrap()
  if (typeof value !== 'object' || value === null || property.targetMeta === undefined) return value
  const target: unknown = Reference.unwrapReference(value)
  return Utils.isEntity(target) ? helper(target).getPrimaryKey() : target
}
