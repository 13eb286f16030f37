import type { Access } from './access.ts'
import { everything, type Filter } from './filter.ts'
import { conjunction } from './filter-algebra.ts'
import { parseWhere } from './parse-where.ts'
import { type Limits, type QueryFields, RtapiError, printable } from './protocol.ts'
import { type ResourceModel, isSortable, keyValues, totalOrder, typesOf } from './resource-model.ts'
import type { Json, Key, OrderTerm } from './value.ts'

/** What a query asks for, once it has been checked against what the session may see. */
export interface CheckedQuery {
  readonly filter: Filter
  readonly order: readonly OrderTerm[]
  readonly fields: readonly string[]
}

/**
 * Checks the parts of a query that lists and subscriptions share.
 * @throws RtapiError `bad_request`: an unreadable field is refused with the same words as an unknown one.
 */
export function checkQuery(
  model: ResourceModel,
  query: QueryFields & { readonly key?: Key },
  access: Access,
  limits: Limits,
): CheckedQuery {
  for (const field of query.fields ?? []) requireReadable(access.fields, field, 'fields')
  for (const [field] of query.order ?? []) {
    requireReadable(access.fields, field, 'order')
    if (!isSortable(model, field)) throw new RtapiError('bad_request', `'${field}' in order cannot be sorted`)
  }
  const filter = conjunction(
    query.where === undefined ? everything : whereFilter(model, query.where, access, limits),
    paramsFilter(model, query.params),
    query.key === undefined ? everything : keyFilter(model, query.key),
  )
  return {
    filter,
    order: totalOrder(model, query.order ?? []),
    fields: query.fields === undefined ? access.fields : access.fields.filter((field) => query.fields?.includes(field)),
  }
}

function whereFilter(model: ResourceModel, where: Json, access: Access, limits: Limits): Filter {
  return parseWhere(where, {
    types: access.fields === model.exposed ? model.exposedTypes : typesOf(model, access.fields),
    lookups: model.options.lookups ?? {},
    limits,
  })
}

/** @throws RtapiError `bad_request`, with the same words whether there is no such field or it may not be read. */
export function requireReadable(readable: readonly string[], field: string, where: string): void {
  if (!readable.includes(field)) throw new RtapiError('bad_request', `unknown field '${printable(field)}' in ${where}`)
}

/** The record with this key; no record at all if the key has not the shape of this resource's keys. */
export function keyFilter(model: ResourceModel, key: Key): Filter {
  const values = keyValues(model, key)
  if (values === undefined) return { type: 'const', value: false }
  return conjunction(
    ...Object.entries(values).map(([field, value]): Filter => ({ type: 'compare', field, operator: 'eq', value })),
  )
}

/** The parents of a nested route, as values of fields. */
export function paramValues(
  model: ResourceModel,
  params: Readonly<Record<string, Json>> | undefined,
): Readonly<Record<string, Json>> {
  const known = model.options.params ?? []
  for (const [name, value] of Object.entries(params ?? {})) {
    if (typeof value === 'object')
      throw new RtapiError('bad_request', `params.${printable(name)}: expected a string or number`)
    if (!known.includes(name)) {
      const offer = known.length === 0 ? 'this resource has none' : `expected ${known.join(', ')}`
      throw new RtapiError('bad_request', `unknown parameter '${printable(name)}' in params; ${offer}`)
    }
  }
  return params ?? {}
}

function paramsFilter(model: ResourceModel, params: Readonly<Record<string, Json>> | undefined): Filter {
  if (params === undefined) return everything
  const values = paramValues(model, params)
  return parseWhere(values, { types: typesOf(model, model.options.params ?? []) })
}
