import { type Row, parseValue } from '@rtapi/core'
import { type ReadValue, bytesFromWire, dateFromWire, dayFromWire, uuidFromWire, writtenValues } from '@rtapi/sql'
import type { Field, ModelShape } from './model-shape.ts'

/**
 * The values of a write as the model takes them, by the names of its attributes.
 * @throws RtapiError `invalid` that names each field which does not exist, cannot be written, or has no such value.
 */
export function valuesOf({ fields }: ModelShape, data: Row): Record<string, unknown> {
  return Object.fromEntries(writtenValues(fields, data, fromWire).map(([field, value]) => [field.name, value]))
}

/**
 * The value as the model holds it, from the wire form, or from that very form: validators may have turned the text of a
 * date into a `Date` already. Objects are taken for json alone.
 */
function fromWire(field: Field, value: unknown): ReadValue {
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
    case 'date':
      return dateFromWire(value)
    case 'bigint':
      return parseValue(type, typeof value === 'bigint' ? value.toString() : value)
    default:
      return parseValue(type, value)
  }
}

function stringFrom({ attributeType }: Field, value: unknown): ReadValue {
  const parsed = parseValue('string', value)
  if ('problem' in parsed) return parsed
  const text = String(parsed.value)
  const { key, values, _length } = attributeType
  if (key === 'ENUM' && values?.includes(text) === false) return { problem: `expected one of ${values.join(', ')}` }
  if (key === 'UUID') return uuidFromWire(text)
  if (key === 'DATEONLY') return dayFromWire(text)
  const most = key === 'STRING' || key === 'CHAR' ? Number(_length) : Number.NaN
  return Array.from(text).length > most ? { problem: `expected at most ${most} characters` } : { value: text }
}
