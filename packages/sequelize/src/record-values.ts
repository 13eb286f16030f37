import { type ErrorDetail, type Row, RtapiError, parseValue } from '@rtapi/core'
import { bytesFromWire, isDay } from '@rtapi/sql'
import type { Field, ModelShape } from './model-shape.ts'

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

/**
 * The values of a write as the model takes them, by the names of its attributes.
 * @throws RtapiError `invalid` that names each field which does not exist, cannot be written, or has no such value.
 */
export function valuesOf(shape: ModelShape, data: Row): Record<string, unknown> {
  const values: Record<string, unknown> = {}
  const details: ErrorDetail[] = []
  for (const [name, value] of Object.entries(data)) {
    if (value === undefined) continue
    const field = shape.fields.get(name)
    if (field?.writable !== true) {
      details.push({ path: [name], message: 'there is no such field to write' })
      continue
    }
    const parsed = fromWire(field, value)
    if ('problem' in parsed) details.push({ path: [name], message: parsed.problem })
    else values[name] = parsed.value
  }
  if (details.length > 0) throw new RtapiError('invalid', 'the data does not fit the record', { details })
  return values
}

/** The fields that a create must give and does not: what the database means if it says that a value is missing. */
export function missingIn(shape: ModelShape, data: Row): readonly ErrorDetail[] | undefined {
  const missing = [...shape.fields.values()].filter(
    ({ name, nullable, optional }) => !nullable && optional !== true && (data[name] ?? null) === null,
  )
  return missing.length === 0 ? undefined : missing.map(({ name }) => ({ path: [name], message: 'is required' }))
}

/**
 * The value as the model holds it, from the wire form, or from that very form: validators may have turned the text of a
 * date into a `Date` already. Objects are taken for json alone.
 */
function fromWire(field: Field, value: unknown): { value: unknown } | { problem: string } {
  if (value === null) return field.nullable ? { value } : { problem: 'must not be null' }
  const { type, attributeType } = field
  switch (type) {
    case 'json':
      if (attributeType.key === 'ARRAY' && !Array.isArray(value)) return { problem: 'expected a list' }
      return { value }
    case 'bytes':
      return bytesFromWire(value)
    case 'string':
      return stringFrom(field, value)
    case 'date': {
      const parsed = parseValue(type, value instanceof Date && !Number.isNaN(+value) ? value.toISOString() : value)
      return 'problem' in parsed ? parsed : { value: new Date(String(parsed.value)) }
    }
    case 'bigint':
      return parseValue(type, typeof value === 'bigint' ? value.toString() : value)
    default:
      return parseValue(type, value)
  }
}

function stringFrom({ attributeType }: Field, value: unknown): { value: unknown } | { problem: string } {
  const parsed = parseValue('string', value)
  if ('problem' in parsed) return parsed
  const text = String(parsed.value)
  const { key, values, _length } = attributeType
  if (key === 'ENUM' && values?.includes(text) === false) return { problem: `expected one of ${values.join(', ')}` }
  if (key === 'UUID') return UUID.test(text) ? { value: text.toLowerCase() } : { problem: 'expected a UUID' }
  if (key === 'DATEONLY') return isDay(text) ? { value: text } : { problem: 'expected a date such as 2026-01-31' }
  const most = key === 'STRING' || key === 'CHAR' ? Number(_length) : Number.NaN
  return Array.from(text).length > most ? { problem: `expected at most ${most} characters` } : { value: text }
}
