import { type ErrorDetail, RtapiError, printable } from './protocol.ts'
import type { Input } from './resource.ts'
import { type ResourceModel, typesOf } from './resource-model.ts'
import type { SchemaIssue, StandardSchema } from './standard-schema.ts'
import { type Json, type Row, parseValue } from './value.ts'

type Data = Readonly<Record<string, unknown>>

/**
 * Checks the data of a write.
 * @throws RtapiError `bad_request` for a field that may not be written, `invalid` with one detail for each wrong value.
 */
export async function checkInput(
  model: ResourceModel,
  input: Input<Row, unknown, unknown>,
  data: unknown,
  mode: 'create' | 'update',
): Promise<Data> {
  if (typeof data !== 'object' || data === null || Array.isArray(data))
    throw new RtapiError('bad_request', "'data' is an object of field values")
  return '~standard' in input ? checkSchema(input, data as Data) : checkFields(model, input, data as Data, mode)
}

async function checkSchema(schema: StandardSchema<unknown, unknown>, data: Data): Promise<Data> {
  const output = await validate(schema, data)
  const known: object = typeof output === 'object' && output !== null ? output : {}
  // A validator that drops what it does not know must not hide a typo, or a field that may not be written.
  for (const field of Object.keys(data)) if (!Object.hasOwn(known, field)) throw unwritable(field)
  await refuseOpenSchema(schema, data)
  return known as Data
}

/** Schemas that are known to drop or refuse what they do not know. */
const closedSchemas = new WeakSet<object>()
const UNKNOWN_FIELD = 'rtapi: a field that no schema knows'

/**
 * A schema that lets unknown fields through would let anybody write any column. It shows with the first data that is
 * valid: an unknown field is added and must not come out.
 */
async function refuseOpenSchema(schema: StandardSchema, data: Data): Promise<void> {
  if (closedSchemas.has(schema)) return
  const result = await schema['~standard'].validate({ ...data, [UNKNOWN_FIELD]: true })
  const value: unknown = result.issues === undefined ? result.value : undefined
  if (typeof value === 'object' && value !== null && Object.hasOwn(value, UNKNOWN_FIELD)) {
    throw new TypeError(
      "an input schema lets unknown fields through; make it drop or refuse them (arktype: '+': 'reject', zod: no looseObject)",
    )
  }
  closedSchemas.add(schema)
}

/**
 * Runs a Standard Schema validator.
 * @throws RtapiError `invalid` with the validator's issues.
 */
export async function validate(schema: StandardSchema<unknown, unknown>, data: unknown): Promise<unknown> {
  const result = await schema['~standard'].validate(data)
  if (result.issues === undefined) return result.value
  throw new RtapiError('invalid', 'The data is not valid.', { details: result.issues.slice(0, 50).map(detailOf) })
}

function detailOf({ message, path }: SchemaIssue): ErrorDetail {
  // arktype's path is an array of a class of its own, which `map` would keep.
  const parts = Array.from(path ?? [], (part) => (typeof part === 'object' ? part.key : part))
  return { path: parts.map((part) => (typeof part === 'number' ? part : String(part))), message }
}

function checkFields(model: ResourceModel, fields: readonly string[], data: Data, mode: 'create' | 'update'): Data {
  const types = typesOf(model, fields)
  const checked: Record<string, unknown> = {}
  const details: ErrorDetail[] = []
  for (const [field, value] of Object.entries(data)) {
    const type = fields.includes(field) ? types[field] : undefined
    if (type === undefined) throw unwritable(field)
    const problem =
      value === null && model.description.fields[field]?.nullable === false ? 'a value is required' : undefined
    const parsed =
      type === 'json' ? { value: value as Json } : type === 'bytes' ? parseBytes(value) : parseValue(type, value)
    if (problem !== undefined) details.push({ path: [field], message: problem })
    else if ('problem' in parsed) details.push({ path: [field], message: parsed.problem })
    else checked[field] = parsed.value
  }
  if (mode === 'create') {
    for (const field of fields) {
      const described = model.description.fields[field]
      const needed = described !== undefined && !described.nullable && described.optional !== true
      if (needed && data[field] === undefined) details.push({ path: [field], message: 'a value is required' })
    }
  }
  if (details.length > 0) throw new RtapiError('invalid', 'The data is not valid.', { details })
  return checked
}

function parseBytes(value: unknown): { value: Json } | { problem: string } {
  const isBase64 =
    value === null ||
    (typeof value === 'string' && /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(value))
  return isBase64 ? { value } : { problem: 'expected bytes as base64' }
}

function unwritable(field: string): RtapiError {
  return new RtapiError('bad_request', `unknown field '${printable(field)}' in data`)
}
