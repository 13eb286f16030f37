import type { Row } from '@rtapi/core'
import { writtenValues } from '@rtapi/sql'
import type { EntityShape } from './entity-shape.ts'
import { fromWire } from './wire-value.ts'

/**
 * The values of a write as the entity holds them, by the names of its properties.
 * @throws RtapiError `invalid` that names each field which does not exist, cannot be written, or has no such value.
 */
export function valuesOf({ fields }: EntityShape, data: Row): Record<string, unknown> {
  return Object.fromEntries(writtenValues(fields, data, fromWire).map(([field, value]) => [field.property.name, value]))
}
