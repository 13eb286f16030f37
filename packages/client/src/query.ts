import type { ResourceTypes } from '@rtapi/core'
import type { Json, Key, OrderEntry, QueryFields, Row } from '@rtapi/core/protocol'

/** A row of a resource as the client receives it. */
export type RowOf<T extends ResourceTypes> = unknown extends T['row'] ? Row : T['row']

/** The names of a row's fields; any name, where the type of the row names none. */
export type FieldOf<T extends ResourceTypes> = [Named<RowOf<T>>] extends [never] ? string : Named<RowOf<T>>

/** The fields that a type names one by one, beside an index signature it may have. */
type Named<R> = keyof { [K in keyof R as string extends K ? never : K]: true } & string

/** Values of the parents of a nested resource, by name. */
export type ParamsOf<T extends ResourceTypes> = [T['params']] extends [never]
  ? Readonly<Record<string, never>>
  : { readonly [P in T['params']]?: P extends keyof RowOf<T> ? NonNullable<RowOf<T>[P]> : Json }

/** The order of rows: `{ createdAt: 'desc' }`, or pairs where the sequence of several fields should leap to the eye. */
export type Order<F extends string> =
  | { readonly [K in F]?: 'asc' | 'desc' }
  | readonly (readonly [field: F, direction: 'asc' | 'desc'])[]

/** Which rows, in which order, with which fields. */
export interface Query<T extends ResourceTypes, F extends FieldOf<T>> {
  readonly where?: T['where']
  readonly order?: Order<FieldOf<T>>
  /** @default all for a live view, a page (100) for a list */
  readonly limit?: number
  /** The fields to receive. @default all that the session may see */
  readonly fields?: readonly F[]
  readonly params?: ParamsOf<T>
}

/** One page of a query. */
export interface ListQuery<T extends ResourceTypes, F extends FieldOf<T>> extends Query<T, F> {
  /** `next` of the page before. */
  readonly after?: string
}

/** What a live view shows: the rows of a query, or the record with one key. */
export interface LiveQuery<T extends ResourceTypes, F extends FieldOf<T>> extends Query<T, F> {
  readonly key?: Key
}

/** A query as the wire has it, or with its order as an object. */
export type LooseQuery = QueryFields & { readonly order?: Order<string> }

/**
 * Writes a query for the wire: what is not given is left out.
 * @throws TypeError if a filter or a parameter holds `undefined`: left out, it would widen the query.
 */
export function queryFields({ where, order, limit, fields, params }: LooseQuery): QueryFields {
  return {
    ...(where === undefined ? {} : { where: checked('where', where) }),
    ...(order === undefined ? {} : { order: isPairs(order) ? order : orderEntries(order) }),
    ...(limit === undefined ? {} : { limit }),
    ...(fields === undefined ? {} : { fields }),
    ...(params === undefined ? {} : { params: checked('params', params) }),
  }
}

/** @throws TypeError if there is `undefined` or a number that is none in the value. */
export function checked<T>(name: string, value: T): T {
  if (value === undefined || (typeof value === 'number' && !Number.isFinite(value))) {
    throw new TypeError(`${name} is ${String(value)}: leave it out for any value, or give null for none`)
  }
  if (typeof value === 'object' && value !== null) {
    for (const [member, inner] of Object.entries(value)) checked(`${name}.${member}`, inner as unknown)
  }
  return value
}

function isPairs(order: Order<string>): order is readonly OrderEntry[] {
  return Array.isArray(order)
}

function orderEntries(order: Readonly<Record<string, 'asc' | 'desc' | undefined>>): readonly OrderEntry[] {
  return Object.entries(order).flatMap(([field, direction]) => (direction === undefined ? [] : [[field, direction]]))
}
