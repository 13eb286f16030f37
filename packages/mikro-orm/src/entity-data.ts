import { type ErrorDetail, type Row, RtapiError } from '@rtapi/core'
import type { EntityShape } from './entity-shape.ts'
import { fromWire } from './wire-value.ts'

/**
 * The values of a write as the entity holds them, by the names of its properties.
 * @throws RtapiError `invalid` that names each field which does not exist, cannot be written, or has no such value.
 */
export function valuesOf(shape: EntityShape, data: Row): Record<string, unknown> {
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
    else values[field.property.name] = parsed.value
  }
  if (details.length > 0) throw new RtapiError('invalid', 'the data does not fit the record', { details })
  return values
}

/** The fields that a create must give and does not: what MikroORM means if it says that a value is missing. */
export function missingIn(shape: EntityShape, data: Row): readonly ErrorDetail[] | undefined {
  const missing = [...shape.fields.values()].filter(
    ({ name, nullable, optional }) => !nullable && optional !== true && (data[name] ?? null) === null,
  )
  return missing.length === 0 ? undefined : missing.map(({ name }) => ({ path: [name], message: 'is required' }))
}
