import type { Access } from './access.ts'
import { everything, nothing, type Filter } from './filter.ts'
import { allOf, anyOf, assume, canonicalText, fieldsOf, pinnedTerms } from './filter-algebra.ts'
import { type PinnedTerms, groupName } from './groups.ts'
import { parseWhere } from './parse-where.ts'
import { type Limits, type QueryFields, RtapiError, printable } from './protocol.ts'
import { type ResourceModel, isSortable, keyValues, totalOrder, typesOf } from './resource-model.ts'
import { sha256Hex } from './sha256.ts'
import type { Json, Key, OrderTerm } from './value.ts'

/** What a query asks for, once it has been checked against what the session may see. */
export interface CheckedQuery {
  readonly filter: Filter
  /** What of the session's scope the filter does not decide already. */
  readonly scope: Filter
  /** Rows of which it is certain that the session may read them, also where they do not match the filter. */
  readonly readable: Filter
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
  const where = parseWhere(query.where ?? {}, {
    types: access.fields === model.exposed ? model.exposedTypes : typesOf(model, access.fields),
    lookups: model.options.lookups ?? {},
    limits,
  })
  const filter = allOf(
    where,
    paramsFilter(model, query.params),
    query.key === undefined ? everything : keyFilter(model, query.key),
  )
  // Sessions whose scopes differ only outside the filter share one feed.
  const pinned = pinnedTerms(filter)
  const scope = assume(access.scope, pinned, model.types)
  const isReduced = canonicalText(scope) !== canonicalText(access.scope)
  return {
    filter,
    scope,
    readable: isReduced ? allOf(scope, pinnedFilter(pinned, fieldsOf(access.scope))) : scope,
    order: totalOrder(model, query.order ?? []),
    fields: access.fields.filter((field) => query.fields === undefined || query.fields.includes(field)),
  }
}

/** The rows that have one of the pinned values in each of these fields. */
function pinnedFilter(pinned: PinnedTerms, fields: ReadonlySet<string>): Filter {
  const concerned = [...pinned].filter(([field]) => fields.has(field))
  return allOf(
    ...concerned.map(([field, values]): Filter => {
      const known = values.filter((value) => value !== null)
      const isOneOf: Filter = known.length === 0 ? nothing : { type: 'compare', field, operator: 'in', value: known }
      const isNull: Filter = { type: 'compare', field, operator: 'isNull', value: true }
      return known.length === values.length ? isOneOf : anyOf(isOneOf, isNull)
    }),
  )
}

/** @throws RtapiError `bad_request`, with the same words whether there is no such field or it may not be read. */
export function requireReadable(readable: readonly string[], field: string, where: string): void {
  if (!readable.includes(field)) throw new RtapiError('bad_request', `unknown field '${printable(field)}' in ${where}`)
}

/** The record with this key; no record at all if the key has not the shape of this resource's keys. */
export function keyFilter(model: ResourceModel, key: Key): Filter {
  const values = keyValues(model, key)
  if (values === undefined) return { type: 'const', value: false }
  return allOf(
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
  const values = paramValues(model, params)
  return parseWhere(values, { types: typesOf(model, model.options.params ?? []) })
}

/** What defines a feed: two subscriptions with the same `id` share one, on every process. */
export interface FeedSpec extends CheckedQuery {
  /** 16 hexadecimal digits; part of every position of the feed. */
  readonly id: string
  /** The whole of it as text, by which feeds are told apart within a process. */
  readonly text: string
  readonly model: ResourceModel
  /** Rows in the window; `undefined`: all that match. */
  readonly limit: number | undefined
  /** The groups that together hear of every change that can concern the feed. */
  readonly groups: readonly string[]
}

/** The feed that a subscription asks for. */
export function feedSpec(
  model: ResourceModel,
  query: QueryFields & { readonly key?: Key },
  access: Access,
  limits: Limits,
): FeedSpec {
  const checked = checkQuery(model, query, access, limits)
  if (query.limit !== undefined && query.limit > limits.viewRows) {
    throw new RtapiError('limit_exceeded', `limit: a live view holds at most ${limits.viewRows} rows`)
  }
  // A client sorts by what it receives.
  const sortFields = checked.order.map(([field]) => field).filter((field) => access.fields.includes(field))
  const chosen = access.fields.filter((field) => checked.fields.includes(field) || sortFields.includes(field))
  // The same array for the same fields, where that is all of them: projections are shared by it.
  const fields = chosen.length === access.fields.length ? access.fields : chosen
  const { filter, scope, readable, order } = checked
  const text = JSON.stringify([
    model.name,
    canonicalText(filter),
    canonicalText(scope),
    readable === scope ? null : canonicalText(readable),
    order,
    query.limit ?? null,
    fields,
  ])
  let id: string | undefined
  return {
    text,
    // Worked out for feeds and resumed subscriptions alone: most subscriptions join a feed that is there.
    get id() {
      return (id ??= sha256Hex(text).slice(0, 16))
    },
    model,
    filter,
    scope,
    readable,
    order,
    fields,
    limit: query.limit,
    groups: feedGroups(model, filter),
  }
}

function feedGroups(model: ResourceModel, filter: Filter): readonly string[] {
  const narrow = model.groups.ofFilter(pinnedTerms(filter))
  if (narrow === undefined) return [model.entityGroup]
  return [...new Set([...narrow.map((parts) => groupName(model.store.entity, ...parts)), model.strayGroup])]
}
