import {
  type ErrorDetail,
  type FieldDescription,
  type Json,
  type Row,
  type StoreDescription,
  RtapiError,
} from '@rtapi/core'
import type { ReadValue } from './wire-value.ts'

/** One field of the rows of a store, as writes need to know it. */
export interface RecordField extends FieldDescription {
  /** Its name on the wire. */
  readonly name: string
  /** Whether clients may give it a value. */
  readonly writable: boolean
}

/**
 * The values of a write as the library takes them, each with its field.
 * @param read - a value from the wire form, or from what a validator has made of that.
 * @throws RtapiError `invalid` that names each field which does not exist, cannot be written, or has no such value.
 */
export function writtenValues<F extends RecordField>(
  fields: ReadonlyMap<string, F>,
  data: Row,
  read: (field: F, value: Json) => ReadValue,
): readonly (readonly [field: F, value: unknown])[] {
  const values: (readonly [F, unknown])[] = []
  const details: ErrorDetail[] = []
  for (const [name, value] of Object.entries(data)) {
    if (value === undefined) continue
    const field = fields.get(name)
    if (field?.writable !== true) {
      details.push({ path: [name], message: 'there is no such field to write' })
      continue
    }
    const parsed = read(field, value)
    if ('problem' in parsed) details.push({ path: [name], message: parsed.problem })
    else values.push([field, parsed.value])
  }
  if (details.length > 0) throw new RtapiError('invalid', 'the data does not fit the record', { details })
  return values
}

/** The fields that a create must give and does not: what is meant by who says that a value is missing. */
export function missingIn(fields: ReadonlyMap<string, RecordField>, data: Row): readonly ErrorDetail[] | undefined {
  const missing = [...fields.values()].filter(
    ({ name, nullable, optional }) => !nullable && optional !== true && (data[name] ?? null) === null,
  )
  return missing.length === 0 ? undefined : missing.map(({ name }) => ({ path: [name], message: 'is required' }))
}

/** What a store says of its fields. */
export function describeFields(
  fields: ReadonlyMap<string, RecordField>,
  key: readonly RecordField[],
): StoreDescription {
  return {
    key: key.map(({ name }) => name),
    fields: Object.fromEntries(
      [...fields].map(([name, { type, nullable, optional }]) => [
        name,
        optional === true ? { type, nullable, optional } : { type, nullable },
      ]),
    ),
  }
}
