/**
 * The wire protocol `rtapi.v1`: every message, the strict parser of what clients send, the limits, the error and close
 * codes. Browser-safe and free of the rest of core: the client imports this file alone (`@rtapi/core/protocol`).
 * The same in prose: `docs/protocol.md`.
 */
import { type Json, type Key, type OrderTerm, type Row, isWellFormed } from './value.ts'

export { compareRows, compareValues, keyId } from './value.ts'
export type { FieldType, Json, Key, KeyId, OrderTerm, Row, Scalar } from './value.ts'

export const PROTOCOL_VERSION = 1

/** WebSocket subprotocol of a codec, e.g. `rtapi.v1.json`. */
export function subprotocol(codec: string): string {
  return `rtapi.v${PROTOCOL_VERSION}.${codec}`
}

// ── Errors ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Every error code, with the HTTP status that carries it and whether the same request may succeed later. */
export const errorCodes = {
  bad_request: {
    status: 400,
    retryable: false,
    meaning: 'The message is malformed, or names something that does not exist.',
  },
  unauthenticated: {
    status: 401,
    retryable: false,
    meaning: 'The action needs a signed-in session, or the credentials are not valid.',
  },
  forbidden: { status: 403, retryable: false, meaning: 'The session may not use this action, or not on this record.' },
  not_found: {
    status: 404,
    retryable: false,
    meaning: 'No such record for this session: missing and hidden look the same.',
  },
  invalid: { status: 422, retryable: false, meaning: 'The data did not pass validation; `details` names the fields.' },
  conflict: {
    status: 409,
    retryable: false,
    meaning: 'The record has another version, or a value must be unique and is not.',
  },
  unsupported: { status: 405, retryable: false, meaning: 'The resource does not offer this action.' },
  limit_exceeded: { status: 413, retryable: false, meaning: 'A size or count limit was passed.' },
  rate_limited: {
    status: 429,
    retryable: true,
    meaning: 'Too many requests; come back after `retryAfter` milliseconds.',
  },
  timeout: { status: 504, retryable: true, meaning: 'The server did not finish in time.' },
  unavailable: { status: 503, retryable: true, meaning: 'The server cannot do this now.' },
  internal: { status: 500, retryable: true, meaning: 'The server failed; its operator can read why.' },
} as const

export type ErrorCode = keyof typeof errorCodes

/** One reason why a piece of data was refused: where in it, and what would be right. */
export interface ErrorDetail {
  readonly path: readonly (string | number)[]
  readonly message: string
}

/** An error as it travels. */
export interface WireError {
  readonly code: ErrorCode
  readonly message: string
  readonly retryable: boolean
  /** Milliseconds. */
  readonly retryAfter?: number
  readonly details?: readonly ErrorDetail[]
}

/**
 * The one error class. Its code, message and details are shown to the client, so they hold nothing internal; the cause
 * stays on the server and goes to `report`.
 */
export class RtapiError extends Error {
  readonly code: ErrorCode
  readonly retryAfter: number | undefined
  readonly details: readonly ErrorDetail[] | undefined

  constructor(
    code: ErrorCode,
    message: string,
    options: { cause?: unknown; retryAfter?: number | undefined; details?: readonly ErrorDetail[] | undefined } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'RtapiError'
    this.code = code
    this.retryAfter = options.retryAfter
    this.details = options.details
  }

  /** The error as it travels. */
  toWire(): WireError {
    return {
      code: this.code,
      message: this.message,
      retryable: errorCodes[this.code].retryable,
      ...(this.retryAfter === undefined ? {} : { retryAfter: this.retryAfter }),
      ...(this.details === undefined ? {} : { details: this.details }),
    }
  }
}

/**
 * Close codes, in ranges that tell a client what to do: 4400–4449 do not come back as you are, 4450–4499 come back and
 * resume, 4500–4599 the server failed, back off.
 */
export const closeCodes = {
  badFrame: 4400,
  unauthenticated: 4401,
  forbidden: 4403,
  version: 4406,
  helloTimeout: 4408,
  tooBig: 4413,
  abuse: 4429,
  revoked: 4440,
  slowConsumer: 4450,
  sessionChanged: 4451,
  draining: 4452,
  layerGap: 4453,
  heartbeat: 4454,
  internal: 4500,
} as const

export type CloseCode = (typeof closeCodes)[keyof typeof closeCodes]

/** Whether a client closed with this code should connect again by itself. Unknown codes (a lost link) come back. */
export function comesBack(code: number): boolean {
  return code < 4400 || code > 4449
}

// ── Limits ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Every limit, in bytes, milliseconds or counts. All can be set in `createApi({ limits })`. */
export interface Limits {
  /** Bytes of one inbound frame. */
  readonly frame: number
  /** Messages in one inbound frame. */
  readonly batch: number
  /** Levels of nesting, values in all, keys in one object, characters of one string, in one inbound frame. */
  readonly depth: number
  readonly nodes: number
  readonly objectKeys: number
  readonly string: number
  /** Levels of `and`/`or`, comparisons in all, values in one list, characters of a text prefix, sort fields. */
  readonly filterDepth: number
  readonly filterClauses: number
  readonly filterList: number
  readonly filterText: number
  readonly sortFields: number
  /** Milliseconds until `hello`. */
  readonly helloTimeout: number
  /** Milliseconds of silence after which the server pings, and then waits for any frame. */
  readonly heartbeatInterval: number
  readonly heartbeatTimeout: number
  /**
   * Connections of one user: exactly to one process, and to all processes some seconds later, where the channel layer keeps
   * presence. Those without a user are counted by transports, by address.
   */
  readonly connectionsPerUser: number
  /** Subscriptions of one connection; rows of one live view; requests in flight of one connection. */
  readonly subscriptions: number
  readonly viewRows: number
  readonly requestsInFlight: number
  /** Rows of one page: without `limit`, and at most. */
  readonly pageDefault: number
  readonly pageMax: number
  /** Bytes of one snapshot part, and of one reply. */
  readonly snapshotPart: number
  readonly reply: number
  /** Keys a client may name in `have`. */
  readonly have: number
  /**
   * Units a second and burst of one connection: a subscription costs 5, a write 2, anything else 1. The burst lets a
   * client that comes back with all of its subscriptions have them at once.
   */
  readonly rate: number
  readonly burst: number
  /** Bad messages within ten seconds that close the connection. */
  readonly badMessages: number
  /** Answers `not_found` a minute to one user; further ones are delayed until their time, by 30 s at most. */
  readonly misses: number
  /** Bytes waiting in one socket above which changes are coalesced, and above which the queue is given up. */
  readonly sendSoft: number
  readonly sendHard: number
  /** Milliseconds a socket may make no progress before the queue is given up, and again before it is closed. */
  readonly sendTimeout: number
  /** Bytes waiting in all sockets of this process together, above which those that hold the most are closed. */
  readonly sendBudget: number
  /** Milliseconds by which the event loop may be late; if it is twice in a row, new work is refused. */
  readonly loopLag: number
  /** Milliseconds for a permission, an override or a store call. */
  readonly ruleTimeout: number
  readonly storeTimeout: number
  /** Milliseconds for a call to the channel layer. */
  readonly layerTimeout: number
  /** Milliseconds a write's reply waits for the writer's own views. */
  readonly ownWriteTimeout: number
  /** Snapshots that run at once in this process. */
  readonly snapshots: number
  /** Milliseconds before `expiresAt` at which the client is told; milliseconds it may stay, paused, after it. */
  readonly expiryWarning: number
  readonly expiryGrace: number
  /** Keys of one transaction and resource above which its views are queried again instead. */
  readonly coarseKeys: number
  /** Milliseconds for which the result of a write with an idempotency key is kept; keys of one user; bytes of one result. */
  readonly idempotencyTime: number
  readonly idempotencyKeys: number
  readonly idempotencyResult: number
}

export const defaultLimits: Limits = {
  frame: 65_536,
  batch: 100,
  depth: 16,
  nodes: 10_000,
  objectKeys: 256,
  string: 32_768,
  filterDepth: 4,
  filterClauses: 32,
  filterList: 100,
  filterText: 64,
  sortFields: 3,
  helloTimeout: 10_000,
  heartbeatInterval: 25_000,
  heartbeatTimeout: 10_000,
  connectionsPerUser: 20,
  subscriptions: 100,
  viewRows: 10_000,
  requestsInFlight: 32,
  pageDefault: 100,
  pageMax: 1_000,
  snapshotPart: 262_144,
  reply: 1_048_576,
  have: 1_000,
  rate: 50,
  burst: 600,
  badMessages: 3,
  misses: 60,
  sendSoft: 262_144,
  sendHard: 1_048_576,
  sendTimeout: 10_000,
  sendBudget: 268_435_456,
  loopLag: 250,
  ruleTimeout: 5_000,
  storeTimeout: 5_000,
  layerTimeout: 2_000,
  ownWriteTimeout: 2_000,
  snapshots: 32,
  expiryWarning: 60_000,
  expiryGrace: 25_000,
  coarseKeys: 1_000,
  idempotencyTime: 300_000,
  idempotencyKeys: 1_000,
  idempotencyResult: 16_384,
}

// ── Client → server ─────────────────────────────────────────────────────────────────────────────────────────────────

export interface HelloMessage {
  readonly type: 'hello'
  readonly versions: readonly number[]
  readonly token?: string
  readonly client?: { readonly name: string; readonly version: string }
}

/** New credentials in place; `null` becomes anonymous. */
export interface AuthMessage {
  readonly type: 'auth'
  readonly id: string
  readonly token: string | null
}

/** `[field, direction]`, most significant first. */
export type OrderEntry = readonly [field: string, direction: 'asc' | 'desc']

/** What a query may hold, in a request or a subscription. */
export interface QueryFields {
  readonly params?: Readonly<Record<string, Json>>
  readonly where?: Readonly<Record<string, Json>>
  readonly order?: readonly OrderEntry[]
  readonly limit?: number
  readonly fields?: readonly string[]
}

export interface RequestMessage extends QueryFields {
  readonly type: 'request'
  readonly id: string
  readonly resource: string
  readonly action: string
  readonly key?: Key
  /** Page cursor from an earlier `next`. */
  readonly after?: string
  readonly data?: Json
  readonly ifVersion?: string | number
  readonly idempotencyKey?: string
}

export interface SubscribeMessage extends QueryFields {
  readonly type: 'subscribe'
  readonly id: string
  readonly resource: string
  readonly key?: Key
  /** `false`: changes only, the snapshot names no rows. */
  readonly rows?: boolean
  /** Position to resume from, and the keys the client shows. */
  readonly since?: string
  readonly have?: readonly Key[]
}

export interface UnsubscribeMessage {
  readonly type: 'unsubscribe'
  readonly id: string
}

export interface PingMessage {
  readonly type: 'ping'
}

export interface PongMessage {
  readonly type: 'pong'
}

export type ClientMessage =
  | HelloMessage
  | AuthMessage
  | RequestMessage
  | SubscribeMessage
  | UnsubscribeMessage
  | PingMessage
  | PongMessage

// ── Server → client ─────────────────────────────────────────────────────────────────────────────────────────────────

export interface WelcomeMessage {
  readonly type: 'welcome'
  readonly version: number
  readonly connection: string
  readonly user?: string | number
  /** Milliseconds since 1970. */
  readonly expiresAt?: number
  readonly heartbeat: { readonly interval: number; readonly timeout: number }
  readonly limits: { readonly subscriptions: number; readonly frame: number; readonly have: number }
}

/** A row as it travels: its key, what this viewer may see of it, and its version where the resource has one. */
export interface WireRow {
  readonly key: Key
  readonly data: Row
  readonly version?: string | number
}

export interface ReplySuccess {
  readonly type: 'reply'
  readonly id: string
  readonly ok: true
  readonly rows?: readonly WireRow[]
  /** Page cursor; absent on the last page. */
  readonly next?: string
  readonly key?: Key
  readonly data?: Json
  readonly version?: string | number
  /** Opaque id of the write, as in `changes`. */
  readonly tx?: string
  /** The writer's own views may not contain the write yet. */
  readonly pending?: true
}

export interface ReplyFailure {
  readonly type: 'reply'
  /** Absent when the message was too broken to tell its id. */
  readonly id?: string
  readonly ok: false
  readonly error: WireError
}

export type ReplyMessage = ReplySuccess | ReplyFailure

export interface SnapshotMessage {
  readonly type: 'snapshot'
  readonly id: string
  /** The handle under which `changes` will name this view. */
  readonly feed: string
  readonly rows: readonly WireRow[]
  /** Counted from 0. */
  readonly part: number
  readonly done: boolean
  /** On the last part. */
  readonly position?: string
  /** On the first part: the total order of the rows, with the types that say how values compare. */
  readonly order?: readonly OrderTerm[]
}

export type ChangeAction = 'create' | 'update' | 'delete' | 'enter' | 'leave'

export interface WireChange {
  readonly action: ChangeAction
  readonly key: Key
  /** The whole visible row; absent on `delete` and `leave`. */
  readonly data?: Row
  readonly version?: string | number
  readonly tx?: string
}

export interface ChangesMessage {
  readonly type: 'changes'
  readonly feed: string
  readonly from: string
  readonly to: string
  readonly changes: readonly WireChange[]
}

export type ResetReason = 'gap' | 'overflow' | 'policy' | 'schema' | 'expired' | 'layer'

export interface ResetMessage {
  readonly type: 'reset'
  readonly id: string
  readonly reason: ResetReason
  /** Milliseconds until the new snapshot is tried. */
  readonly after?: number
}

export interface EndMessage {
  readonly type: 'end'
  readonly id: string
  readonly error?: WireError
  /** Subscribing again may succeed. */
  readonly again?: boolean
}

export interface ExpiringMessage {
  readonly type: 'expiring'
  readonly expiresAt: number
}

export interface GoodbyeMessage {
  readonly type: 'goodbye'
  readonly code: CloseCode
  readonly reason: string
  readonly again: boolean
  readonly after?: number
}

export type ServerMessage =
  | WelcomeMessage
  | ReplyMessage
  | SnapshotMessage
  | ChangesMessage
  | ResetMessage
  | EndMessage
  | ExpiringMessage
  | GoodbyeMessage
  | PingMessage
  | PongMessage

// ── Parsing what clients send ───────────────────────────────────────────────────────────────────────────────────────

/** A message that could not be read; `id` and `type` are filled in as far as they could. */
export interface BrokenMessage {
  readonly type: 'broken'
  readonly id: string | undefined
  readonly of: 'subscribe' | 'other'
  readonly error: RtapiError
}

/**
 * Reads one decoded frame: a message or an array of them. Each is read by itself, so that one broken message does not
 * take the others of its batch with it.
 * @throws RtapiError `bad_request` or `limit_exceeded` when the frame as a whole cannot be accepted.
 */
export function parseClientFrame(
  frame: unknown,
  limits: Limits = defaultLimits,
): readonly (ClientMessage | BrokenMessage)[] {
  checkShape(frame, limits)
  if (!Array.isArray(frame)) return [parseOrBroken(frame, limits)]
  if (frame.length > limits.batch)
    throw new RtapiError('limit_exceeded', `a frame holds at most ${limits.batch} messages`)
  return frame.map((message: unknown) => parseOrBroken(message, limits))
}

function parseOrBroken(message: unknown, limits: Limits): ClientMessage | BrokenMessage {
  try {
    return parseClientMessage(message, limits)
  } catch (error) {
    if (!(error instanceof RtapiError)) throw error
    const fields: Record<string, unknown> = isObject(message) ? message : {}
    const id = typeof fields['id'] === 'string' && ID.test(fields['id']) ? fields['id'] : undefined
    return { type: 'broken', id, of: fields['type'] === 'subscribe' ? 'subscribe' : 'other', error }
  }
}

/**
 * Reads one message. Unknown types and unknown fields are errors: a typo such as `were` must not widen a query.
 * @throws RtapiError `bad_request` or `limit_exceeded`, saying which field was wrong and what would be right.
 */
export function parseClientMessage(message: unknown, limits: Limits = defaultLimits): ClientMessage {
  if (!isObject(message)) throw bad('a message is an object with a `type`')
  const type = typeof message['type'] === 'string' ? message['type'] : ''
  const shape =
    typeof type === 'string' && Object.hasOwn(messageShapes, type)
      ? messageShapes[type as ClientMessage['type']]
      : undefined
  if (shape === undefined) throw bad(`unknown message type; expected one of ${Object.keys(messageShapes).join(', ')}`)
  for (const name of Object.keys(message)) {
    if (name === 'type') continue
    if (!Object.hasOwn(shape, name))
      throw bad(`unknown field '${printable(name)}' in a ${type} message; it may hold ${Object.keys(shape).join(', ')}`)
  }
  for (const [name, field] of shapeEntries.get(type) ?? []) {
    const value = message[name]
    if (value === undefined) {
      if (field.required) throw bad(`a ${type} message needs '${name}': ${field.expects}`)
    } else if (!field.accepts(value, limits)) {
      throw bad(`'${name}' in a ${type} message: expected ${field.expects}`)
    }
  }
  // Every field was checked against the shape of its message type just above.
  return message as unknown as ClientMessage
}

interface FieldShape {
  readonly required: boolean
  readonly expects: string
  readonly accepts: (value: unknown, limits: Limits) => boolean
}

const ID = /^[A-Za-z0-9_-]{1,64}$/
const NAME = /^[A-Za-z][A-Za-z0-9_-]{0,63}$/

function required(expects: string, accepts: FieldShape['accepts']): FieldShape {
  return { required: true, expects, accepts }
}

function optional(expects: string, accepts: FieldShape['accepts']): FieldShape {
  return { required: false, expects, accepts }
}

const isText =
  (length: number) =>
  (value: unknown): boolean =>
    typeof value === 'string' && value.length <= length
const isId = (value: unknown): boolean => typeof value === 'string' && ID.test(value)
const isName = (value: unknown): boolean => typeof value === 'string' && NAME.test(value)

/** Whether a value from outside has the form of a key. */
export function isKey(value: unknown): value is Key {
  if (Array.isArray(value)) return value.length > 0 && value.length <= 8 && value.every(isKeyPart)
  return isKeyPart(value)
}

function isKeyPart(value: unknown): boolean {
  if (typeof value === 'string') return value.length <= 256 && isWellFormed(value)
  return typeof value === 'number' && Number.isFinite(value) && Math.abs(value) <= Number.MAX_SAFE_INTEGER
}

function isOrder(value: unknown, limits: Limits): boolean {
  return (
    Array.isArray(value) &&
    value.length <= limits.sortFields &&
    value.every(
      (entry: unknown) =>
        Array.isArray(entry) &&
        entry.length === 2 &&
        isText(64)(entry[0]) &&
        (entry[1] === 'asc' || entry[1] === 'desc'),
    )
  )
}

const queryShape = {
  params: optional('an object of parent names and values', isObject),
  where: optional('a filter object', isObject),
  order: optional("up to three pairs [field, 'asc' | 'desc']", isOrder),
  limit: optional('a whole number above 0', (value) => Number.isSafeInteger(value) && Number(value) > 0),
  fields: optional(
    'an array of field names',
    (value, limits) => Array.isArray(value) && value.length <= limits.objectKeys && value.every(isText(64)),
  ),
}

const messageShapes: Readonly<Record<ClientMessage['type'], Readonly<Record<string, FieldShape>>>> = {
  hello: {
    versions: required(
      'an array of protocol versions',
      (value) => Array.isArray(value) && value.length <= 16 && value.every(Number.isSafeInteger),
    ),
    token: optional('a string', isText(8_192)),
    client: optional(
      '{ name, version }',
      (value) =>
        isObject(value) &&
        Object.keys(value).every((name) => name === 'name' || name === 'version') &&
        isText(64)(value['name']) &&
        isText(64)(value['version']),
    ),
  },
  auth: {
    id: required('1 to 64 of A-Z a-z 0-9 _ -', isId),
    token: required('a string or null', (value) => value === null || isText(8_192)(value)),
  },
  request: {
    id: required('1 to 64 of A-Z a-z 0-9 _ -', isId),
    resource: required('a resource name', isName),
    action: required('an action name', isName),
    key: optional('a string, a number or an array of them', isKey),
    ...queryShape,
    after: optional('a page cursor from an earlier reply', isText(4_096)),
    data: optional('a JSON value', () => true),
    ifVersion: optional('a version from an earlier reply', (value) => isText(64)(value) || Number.isSafeInteger(value)),
    idempotencyKey: optional('1 to 64 of A-Z a-z 0-9 _ -', isId),
  },
  subscribe: {
    id: required('1 to 64 of A-Z a-z 0-9 _ -', isId),
    resource: required('a resource name', isName),
    key: optional('a string, a number or an array of them', isKey),
    ...queryShape,
    rows: optional('true or false', (value) => typeof value === 'boolean'),
    since: optional('a position from an earlier snapshot or changes message', isText(1_024)),
    have: optional(
      'an array of keys',
      (value, limits) => Array.isArray(value) && value.length <= limits.have && value.every(isKey),
    ),
  },
  unsubscribe: { id: required('1 to 64 of A-Z a-z 0-9 _ -', isId) },
  ping: {},
  pong: {},
}

type ShapeEntries = ReadonlyMap<string, readonly (readonly [string, FieldShape])[]>

/** The same, listed once: they are walked for every message. Marked as pure, so that no page carries the parser. */
const shapeEntries: ShapeEntries = /* @__PURE__ */ listShapes()

function listShapes(): ShapeEntries {
  return new Map(Object.entries(messageShapes).map(([type, shape]) => [type, Object.entries(shape)]))
}

/**
 * Bounds a decoded frame before anything walks it: iterative, since a recursive check would itself overflow on
 * hostile nesting. Keys that reach an object's prototype are refused wherever they stand.
 */
function checkShape(frame: unknown, limits: Limits): void {
  let level: unknown[] = [frame]
  let nodes = 0
  // A batch is one level above its messages and is not counted against them.
  for (let depth = Array.isArray(frame) ? 0 : 1; level.length > 0; depth++) {
    if (depth > limits.depth) throw bad(`nested deeper than ${limits.depth} levels`)
    nodes += level.length
    if (nodes > limits.nodes) throw new RtapiError('limit_exceeded', `a frame holds at most ${limits.nodes} values`)
    const next: unknown[] = []
    for (const value of level) {
      if (typeof value === 'string') checkString(value, limits)
      else if (Array.isArray(value)) for (const item of value) next.push(item)
      else if (isObject(value)) pushMembers(value, next, limits)
    }
    level = next
  }
}

function pushMembers(value: Readonly<Record<string, unknown>>, into: unknown[], limits: Limits): void {
  const names = Object.keys(value)
  if (names.length > limits.objectKeys)
    throw new RtapiError('limit_exceeded', `an object holds at most ${limits.objectKeys} keys`)
  for (const name of names) {
    if (name === '__proto__' || name === 'constructor' || name === 'prototype')
      throw bad(`the key '${name}' is not allowed`)
    checkString(name, limits)
    into.push(value[name])
  }
}

function checkString(text: string, limits: Limits): void {
  if (text.length > limits.string)
    throw new RtapiError('limit_exceeded', `a string holds at most ${limits.string} characters`)
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A piece of client text as it may stand in a message: short, one line, plain characters. */
export function printable(text: string): string {
  return text.slice(0, 64).replace(/[^\x20-\x7e]/g, '?')
}

function bad(message: string): RtapiError {
  return new RtapiError('bad_request', message)
}
