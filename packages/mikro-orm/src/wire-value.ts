import { type EntityProperty, type Platform, Type, Utils, isRaw } from '@mikro-orm/core'
import { type FieldType, type Json, parseValue } from '@rtapi/core'
import {
  NoWireValue,
  type ReadValue,
  bytesFromWire,
  dateFromWire,
  dayFromWire,
  toWire as plainToWire,
  uuidFromWire,
} from '@rtapi/sql'
import type { Field } from './entity-shape.ts'

/**
 * The wire form of a value as the application sees it.
 * @throws NoWireValue if it has none.
 */
export function toWire(type: FieldType, value: unknown): Json {
  if (isRaw(value)) throw new NoWireValue('a raw fragment of SQL has no value')
  return plainToWire(type, value)
}

/** The wire form of what a field of an entity holds: of an embedded object each of its fields, null where there is none. */
export function fieldToWire(field: Field, value: unknown): Json {
  const { members } = field
  if (members === undefined || value === null || value === undefined) return toWire(field.type, value)
  if (Array.isArray(value)) return value.map((item: unknown) => fieldToWire(field, item))
  return Object.fromEntries(
    members.map((member) => [
      member.name,
      fieldToWire(member, Reflect.get(value, member.property.embedded?.[1] ?? member.name)),
    ]),
  )
}

/** The value as the application sees it, from the form in which the driver hands it over and MikroORM remembers it. */
export function fromDatabase(holder: EntityProperty, value: unknown, platform: Platform): unknown {
  if (value === null || value === undefined || holder.customType === undefined) return value
  return holder.customType.convertToJSValue(value, platform) as unknown
}

/** Types of properties whose length is one of characters. */
const TEXTS = new Set(['string', 'text', 'character', 'char', 'varchar'])

/**
 * The value as the application's entities hold it, from the wire form, or from that very form: validators may have
 * turned the text of a date into a `Date` already. Objects are taken for json alone.
 */
export function fromWire(field: Field, value: unknown): ReadValue {
  if (value === null || value === undefined) return field.nullable ? { value: null } : { problem: 'must not be null' }
  const { holder, type } = field
  switch (type) {
    case 'json':
      return field.members === undefined ? { value } : embeddedFrom(field, field.members, value)
    case 'bytes':
      return bytesFromWire(value)
    case 'string':
      return stringFrom(holder, value)
    case 'date':
      return dateFromWire(value)
    case 'bigint': {
      const parsed = parseValue(type, typeof value === 'bigint' ? value.toString() : value)
      if ('problem' in parsed || holder.runtimeType === 'string') return parsed
      return { value: BigInt(String(parsed.value)) }
    }
    default: {
      const parsed = parseValue(type, value)
      if ('problem' in parsed || !isAllowed(holder, parsed.value)) return { problem: problemOf(parsed, holder) }
      return parsed
    }
  }
}

/** All fields of the object are given: those that are missing are null. */
function embeddedFrom(field: Field, members: readonly Field[], value: unknown): ReadValue {
  if (Array.isArray(value) && field.property.array === true) {
    const items = value.map((item: unknown) => embeddedFrom(field, members, item))
    return items.find((item) => 'problem' in item) ?? { value: items.map((item) => 'value' in item && item.value) }
  }
  if (!Utils.isPlainObject<Record<string, unknown>>(value)) return { problem: 'expected an object' }
  const given: Record<string, unknown> = value
  const unknown = Object.keys(given).find((name) => !members.some((member) => member.name === name))
  if (unknown !== undefined) return { problem: 'has a field that does not exist' }
  const object: Record<string, unknown> = {}
  for (const member of members) {
    const parsed = fromWire(member, given[member.name])
    if ('problem' in parsed) return { problem: `${member.name}: ${parsed.problem}` }
    object[member.name] = parsed.value
  }
  return { value: object }
}

function stringFrom(holder: EntityProperty, value: unknown): ReadValue {
  const parsed = parseValue('string', value)
  if ('problem' in parsed) return parsed
  const text = String(parsed.value)
  if (!isAllowed(holder, text)) return { problem: problemOf(parsed, holder) }
  const type = builtInType(holder)
  if (type === 'uuid') return uuidFromWire(text)
  if (type === 'date') return dayFromWire(text)
  if (TEXTS.has(holder.type) && holder.length !== undefined && Array.from(text).length > holder.length) {
    return { problem: `expected at most ${holder.length} characters` }
  }
  return { value: text }
}

/** The name under which MikroORM registers the type of a property; `undefined` for plain ones and the application's. */
function builtInType({ customType }: EntityProperty): string | undefined {
  return customType === undefined ? undefined : Type.getOrmType(customType.constructor)
}

function isAllowed({ enum: isEnum, items }: EntityProperty, value: unknown): boolean {
  return isEnum !== true || items === undefined || items.some((item) => item === value)
}

function problemOf(parsed: { problem: string } | object, { items = [] }: EntityProperty): string {
  return 'problem' in parsed ? parsed.problem : `expected one of ${items.join(', ')}`
}
