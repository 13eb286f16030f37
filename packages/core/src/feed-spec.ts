import type { Access } from './access.ts'
import { nothing, type Filter } from './filter.ts'
import { allOf, anyOf, assume, canonicalText, fieldsOf, pinnedTerms } from './filter-algebra.ts'
import { type PinnedTerms, groupName } from './groups.ts'
import { type Limits, type QueryFields, RtapiError } from './protocol.ts'
import { type CheckedQuery, checkQuery } from './query.ts'
import type { ResourceModel } from './resource-model.ts'
import { sha256Hex } from './sha256.ts'
import type { Key } from './value.ts'

/** What defines a feed: two subscriptions with the same `id` share one, on every process. */
export interface FeedSpec extends CheckedQuery {
  /** What of the session's scope the filter does not decide already. */
  readonly scope: Filter
  /** Rows of which it is certain that the viewers may read them, also where they do not match the filter. */
  readonly readable: Filter
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
  const { order } = checked
  const filter = allOf(checked.filter)
  // Sessions whose scopes differ only outside the filter share one feed.
  const pinned = pinnedTerms(filter)
  const scope = assume(access.scope, pinned, model.types)
  const isReduced = canonicalText(scope) !== canonicalText(access.scope)
  const readable = isReduced ? allOf(scope, pinnedFilter(pinned, fieldsOf(access.scope))) : scope
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

/** Whether the feed can show a row that matches: `false` only where a pinned field of the one rules out the other. */
export function canShow({ filter, scope, model: { types } }: FeedSpec, where: Filter): boolean {
  const own = allOf(filter, scope)
  try {
    return !isNothing(assume(where, pinnedTerms(own), types)) && !isNothing(assume(own, pinnedTerms(where), types))
  } catch {
    // It comes from a process that knows more fields.
    return true
  }
}

function isNothing(filter: Filter): boolean {
  return filter.type === 'const' && !filter.value
}

function feedGroups(model: ResourceModel, filter: Filter): readonly string[] {
  const narrow = model.groups.ofFilter(pinnedTerms(filter))
  if (narrow === undefined) return [model.entityGroup]
  return [...new Set([...narrow.map((parts) => groupName(model.store.entity, ...parts)), model.strayGroup])]
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
