import type { FieldTypes } from './filter.ts'
import { type GroupNaming, entityGroup, strayGroup, wholeResource } from './groups.ts'
import { checkLookups } from './parse-where.ts'
import type { Permission, StandardAction } from './permission.ts'
import { every } from './permissions.ts'
import type { WireRow } from './protocol.ts'
import type { Resource, ResourceOptions } from './resource.ts'
import type { Store, StoreDescription } from './store.ts'
import {
  type FieldType,
  type Json,
  type Key,
  type OrderTerm,
  type Row,
  isComparable,
  keyOf,
  parseValue,
} from './value.ts'

/** A resource with what its store says of it: checked once at start, then read by everything else. */
export interface ResourceModel {
  readonly name: string
  readonly options: ResourceOptions<Row, unknown, unknown>
  readonly store: Store<Row, unknown, unknown>
  readonly description: StoreDescription
  readonly keyFields: readonly string[]
  /** All fields of the store: what scopes may look at. */
  readonly types: FieldTypes
  /** The fields clients may ever see. */
  readonly exposed: readonly string[]
  readonly exposedTypes: FieldTypes
  /** By key, ascending: the order of a query that names none. */
  readonly keyOrder: readonly OrderTerm[]
  readonly actions: ReadonlySet<StandardAction>
  /** All of the resource's permissions as one. */
  readonly permission: Required<Permission>
  readonly groups: GroupNaming
  readonly entityGroup: string
  readonly strayGroup: string
}

const reads: readonly StandardAction[] = ['list', 'get', 'describe', 'subscribe']

/**
 * Resolves a resource.
 * @throws TypeError if its definition names what does not exist, saying where and what would be right.
 */
export function resolveResource(resource: Resource): ResourceModel {
  const { name, options } = resource
  const description = options.store.describe()
  const known = Object.keys(description.fields)
  const types: FieldTypes = Object.fromEntries(known.map((field) => [field, typeOf(description, field)]))
  const check = (field: string, where: string): void => {
    if (!Object.hasOwn(types, field)) {
      throw new TypeError(`resource '${name}': ${where} names the field '${field}'; the store has ${known.join(', ')}`)
    }
  }
  const exposed = options.fields ?? known
  for (const field of exposed) check(field, 'fields')
  for (const field of options.params ?? []) check(field, 'params')
  for (const field of options.groups?.fields ?? []) check(field, 'groups')
  if (options.version !== undefined) check(options.version, 'version')
  checkLookups(options.lookups ?? {}, types)
  for (const [side, input] of Object.entries(options.input ?? {})) {
    if (Array.isArray(input)) for (const field of input as readonly string[]) check(field, `input.${side}`)
  }
  return {
    name,
    options,
    store: options.store,
    description,
    keyFields: description.key,
    types,
    exposed,
    exposedTypes: Object.fromEntries(exposed.map((field) => [field, typeOf(description, field)])),
    keyOrder: description.key.map((field) => [field, 'asc', typeOf(description, field)]),
    actions: new Set(offeredActions(options)),
    permission: every(...options.permissions),
    groups: options.groups ?? wholeResource(),
    entityGroup: entityGroup(options.store.entity),
    strayGroup: strayGroup(options.store.entity),
  }
}

function offeredActions(options: ResourceOptions<Row, unknown, unknown>): readonly StandardAction[] {
  const possible: StandardAction[] = [...reads, 'delete']
  if (options.input?.create !== undefined || options.create !== undefined) possible.push('create')
  if (options.input?.update !== undefined || options.update !== undefined) possible.push('update')
  return options.actions === undefined ? possible : possible.filter((action) => options.actions?.includes(action))
}

function typeOf(description: StoreDescription, field: string): FieldType {
  return description.fields[field]?.type ?? 'json'
}

/** The types of these fields alone. */
export function typesOf(model: ResourceModel, fields: readonly string[]): FieldTypes {
  return Object.fromEntries(fields.map((field) => [field, typeOf(model.description, field)]))
}

/** The fields which filters and sorts can use. */
export function isSortable(model: ResourceModel, field: string): boolean {
  return isComparable(typeOf(model.description, field))
}

/** The order as given, made total by the key fields which it does not name. */
export function totalOrder(
  model: ResourceModel,
  order: readonly (readonly [string, 'asc' | 'desc'])[],
): readonly OrderTerm[] {
  if (order.length === 0) return model.keyOrder
  const named = new Set(order.map(([field]) => field))
  const rest = model.keyFields.filter((field) => !named.has(field)).map((field) => [field, 'asc'] as const)
  return [...order, ...rest].map(([field, direction]) => [field, direction, typeOf(model.description, field)])
}

/** The part of a row that consists of these fields. */
function project(row: Row, fields: readonly string[]): Row {
  const data: Record<string, Json> = {}
  for (const field of fields) data[field] = row[field] ?? null
  return data
}

/** A row as it travels, with these fields. */
export function wireRow(model: ResourceModel, row: Row, fields: readonly string[]): WireRow {
  const version = versionOf(model, row)
  return { key: keyOf(row, model.keyFields), data: project(row, fields), ...(version === undefined ? {} : { version }) }
}

/** The version of a row, where the resource has one. */
export function versionOf(model: ResourceModel, row: Row): string | number | undefined {
  if (model.options.version === undefined) return undefined
  const version = row[model.options.version]
  return typeof version === 'string' || typeof version === 'number' ? version : undefined
}

/** The values of a key by field, or `undefined` if it has not the shape of this resource's keys. */
export function keyValues(model: ResourceModel, key: Key): Readonly<Record<string, string | number>> | undefined {
  const parts = typeof key === 'object' ? key : [key]
  if (parts.length !== model.keyFields.length || (typeof key === 'object') !== model.keyFields.length > 1)
    return undefined
  const values: Record<string, string | number> = {}
  for (const [i, field] of model.keyFields.entries()) {
    const value = keyValue(typeOf(model.description, field), parts[i])
    if (value === undefined) return undefined
    values[field] = value
  }
  return values
}

/** A part of a key as a filter holds it; it comes from outside, and so may be no value of the field at all. */
function keyValue(type: FieldType, part: string | number | undefined): string | number | undefined {
  if (type === 'bytes') return typeof part === 'string' ? part : undefined
  const parsed = parseValue(type, part)
  if ('problem' in parsed || typeof parsed.value !== typeof part) return undefined
  return parsed.value as string | number
}
