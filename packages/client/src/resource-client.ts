import type { ResourceTypes } from '@rtapi/core'
import type { FieldType, Json, Key, ReplySuccess, Row, WireRow } from '@rtapi/core/protocol'
import type { KnownRows } from './known-rows.ts'
import type { LiveView } from './live-view.ts'
import {
  type FieldOf,
  type ListQuery,
  type LiveQuery,
  type LooseQuery,
  type ParamsOf,
  type RowOf,
  checked,
  queryFields,
} from './query.ts'
import type { Call } from './requests.ts'
import type { SubscriptionQuery } from './subscription.ts'

/** A row, or the fields of it that were asked for. */
export type Shown<T extends ResourceTypes, F extends FieldOf<T>> = [FieldOf<T>] extends [F]
  ? RowOf<T>
  : { readonly [K in F]: RowOf<T>[K & keyof RowOf<T>] }

/** One page of a list. */
export interface Page<R> {
  readonly rows: readonly R[]
  /** Give it as `after` to get the next page; absent on the last one. */
  readonly next: string | undefined
}

/** What any request takes. */
export interface RequestOptions {
  /** Milliseconds until the request is given up. @default limits.requestTimeout (30 s) */
  readonly timeout?: number
}

/** What a get takes. */
export interface GetOptions<T extends ResourceTypes, F extends FieldOf<T>> extends RequestOptions {
  readonly fields?: readonly F[]
  readonly params?: ParamsOf<T>
}

/** What a write takes. */
export interface WriteOptions<T extends ResourceTypes> extends RequestOptions {
  readonly params?: ParamsOf<T>
  /**
   * 1 to 64 of `A-Z a-z 0-9 _ -`, of your making. A repetition with the same key runs nothing and answers what the first
   * one did.
   */
  readonly idempotencyKey?: string
}

/** What a write on one record takes. */
export interface RecordWriteOptions<T extends ResourceTypes> extends WriteOptions<T> {
  /** Write only if the record still has this version; else the error is `conflict`. */
  readonly ifVersion?: string | number
}

/** What a write has done. */
export interface Written<R> {
  readonly key: Key
  /** The record as this session may see it; absent if it may not, and after some deletes. */
  readonly row: R | undefined
  readonly version: string | number | undefined
  /** Names the write, as the server's changes do. */
  readonly tx: string | undefined
  /** `false`: every live view of this client that the write concerns contains it. */
  readonly pending: boolean
}

/** What the server says of a resource to this session. */
export interface Description {
  readonly resource: string
  /** The fields of the key, in order. */
  readonly key: readonly string[]
  /** The field that holds the version, if there is one. */
  readonly version: string | null
  /** The fields that the session may see. */
  readonly fields: Readonly<Record<string, FieldDescription>>
  /** Filters with names of their own. */
  readonly lookups: Readonly<Record<string, { readonly field: string; readonly operator: string }>>
  readonly params: readonly string[]
  /** The actions that the session may use. */
  readonly actions: readonly string[]
}

/** What the server says of one field. */
export interface FieldDescription {
  readonly type: FieldType
  readonly nullable: boolean
  /** What filters may ask of it. */
  readonly operators: readonly string[]
  readonly sortable: boolean
}

type ActionOf<T extends ResourceTypes, Name> = Name extends keyof T['actions'] ? T['actions'][Name] : never

/** The names of a resource's own actions. */
export type ActionName<T extends ResourceTypes> = keyof T['actions'] & string

/** What one of the resource's own actions takes: a key if it is about one record, data if it has an input. */
export type ActionCall<T extends ResourceTypes, Name> = (ActionOf<T, Name> extends { readonly record: true }
  ? { readonly key: Key }
  : { readonly key?: Key }) &
  (ActionOf<T, Name> extends { readonly input: infer In }
    ? undefined extends In
      ? { readonly data?: In }
      : { readonly data: In }
    : unknown) &
  WriteOptions<T>

type ActionOutput<T extends ResourceTypes, Name> = ActionOf<T, Name> extends { readonly output: infer Out } ? Out : Json

type OptionalIfEmpty<Call> = Partial<Call> extends Call ? [call?: Call] : [call: Call]

/**
 * One resource of the server. All requests reject with `RtapiError` where the server refuses, and a write with
 * `OutcomeUnknownError` where the link was lost before its reply.
 */
export interface ResourceClient<T extends ResourceTypes> {
  /** A page of rows as they are now. */
  list<F extends FieldOf<T> = FieldOf<T>>(query?: ListQuery<T, F>, options?: RequestOptions): Promise<Page<Shown<T, F>>>
  /** One row. A missing and a hidden one are `not_found` alike. */
  get<F extends FieldOf<T> = FieldOf<T>>(key: Key, options?: GetOptions<T, F>): Promise<Shown<T, F>>
  create(data: T['create'], options?: WriteOptions<T>): Promise<Written<Shown<T, FieldOf<T>>>>
  /** Changes the fields that are given. */
  update(key: Key, patch: T['update'], options?: RecordWriteOptions<T>): Promise<Written<Shown<T, FieldOf<T>>>>
  delete(key: Key, options?: RecordWriteOptions<T>): Promise<Written<Shown<T, FieldOf<T>>>>
  /** Calls one of the resource's own actions; it counts as a write. */
  action<Name extends ActionName<T>>(
    name: Name,
    ...call: OptionalIfEmpty<ActionCall<T, Name>>
  ): Promise<ActionOutput<T, Name>>
  /** What this session may see of the resource and do with it. */
  describe(options?: RequestOptions): Promise<Description>
  /** The rows of a query, kept up to date until the view is closed. */
  live<F extends FieldOf<T> = FieldOf<T>>(query?: LiveQuery<T, F>): LiveView<Shown<T, F>>
  /** The key of a row that came from this client. @throws TypeError for any other object, a copy included */
  keyOf(row: object): Key
  /** Its version, for `ifVersion`; absent where the resource has none. @throws TypeError as `keyOf` */
  versionOf(row: object): string | number | undefined
}

/** What a resource client does its work with. */
export interface ResourcePort {
  readonly known: KnownRows
  call(call: Call, timeout: number | undefined): Promise<ReplySuccess>
  live(query: SubscriptionQuery): LiveView<Row>
}

type Options = Pick<Call, 'key' | 'data' | 'params' | 'ifVersion' | 'idempotencyKey'> & RequestOptions

/** A resource client as it is at run time, where the types of its resource do not exist. */
export interface UntypedResource {
  list(query?: LooseQuery & Pick<Call, 'after'>, options?: RequestOptions): Promise<Page<Row>>
  get(key: Key, options?: LooseQuery & RequestOptions): Promise<Row>
  create(data: Json, options?: Options): Promise<Written<Row>>
  update(key: Key, patch: Json, options?: Options): Promise<Written<Row>>
  delete(key: Key, options?: Options): Promise<Written<Row>>
  action(name: string, call?: Options): Promise<Json>
  describe(options?: RequestOptions): Promise<Description>
  live(query?: LooseQuery & Pick<Call, 'key'>): LiveView<Row>
  keyOf(row: object): Key
  versionOf(row: object): string | number | undefined
}

/** The client of the resource with this name. */
export function resourceClient(resource: string, port: ResourcePort): UntypedResource {
  const write = async (call: Omit<Call, 'resource'>, { timeout, ...options }: Options = {}): Promise<Written<Row>> => {
    const reply = await port.call({ resource, ...call, ...given(options) }, timeout)
    const row = rowOf(reply)
    return {
      key: reply.key ?? call.key ?? '',
      row: row && port.known.add(row),
      version: reply.version,
      tx: reply.tx,
      pending: reply.pending === true,
    }
  }
  return {
    async list({ after, ...query } = {}, { timeout } = {}) {
      const call = { resource, action: 'list', ...queryFields(query), ...given({ after }) }
      const reply = await port.call(call, timeout)
      return { rows: (reply.rows ?? []).map((row) => port.known.add(row)), next: reply.next }
    },
    async get(key, { timeout, ...query } = {}) {
      const reply = await port.call({ resource, action: 'get', key, ...queryFields(query) }, timeout)
      return port.known.add(rowOf(reply) ?? { key, data: {} })
    },
    create: (data, options) => write({ action: 'create', data }, options),
    update: (key, patch, options) => write({ action: 'update', key, data: patch }, options),
    delete: (key, options) => write({ action: 'delete', key }, options),
    async action(action, { timeout, ...call } = {}) {
      const reply = await port.call({ resource, action, ...given(call) }, timeout)
      return reply.data ?? null
    },
    async describe({ timeout } = {}) {
      // The server's word, as everywhere.
      return (await port.call({ resource, action: 'describe' }, timeout)).data as unknown as Description
    },
    live(query = {}) {
      const key = 'key' in query ? { key: checked('key', query.key) } : {}
      return port.live({ resource, ...key, ...queryFields(query) })
    },
    keyOf: (row) => port.known.get(row).key,
    versionOf: (row) => port.known.get(row).version,
  }
}

/** The row that a reply carries. */
function rowOf({ key, data, version }: ReplySuccess): WireRow | undefined {
  if (key === undefined || typeof data !== 'object' || data === null) return undefined
  return { key, data: data as Row, ...given({ version }) }
}

/** An object without the members that are `undefined`: the server refuses nothing as strictly as what it does not know. */
function given<T extends object>(members: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as never
}
