import { type ClientMessage, type Json, type ServerMessage, errorCodes } from '@rtapi/core'

/** Data of every kind that a message may carry. */
const values: Json = {
  texts: [
    '',
    'plain',
    'Ünïcode 😀 \u2028',
    '"\\/\b\f\n\r\t',
    '\u0001',
    'x'.repeat(40),
    '9007199254740993',
    '__proto__',
  ],
  numbers: [
    0,
    1,
    -1,
    127,
    128,
    255,
    256,
    65_535,
    65_536,
    2 ** 31,
    2 ** 32,
    2 ** 53 - 1,
    -(2 ** 53 - 1),
    0.1,
    -1.5e-300,
  ],
  others: [true, false, null, [], {}, [[]], { '': {} }],
  nested: { a: { b: { c: { d: [{ e: [{ f: [null] }] }] } } } },
  long: Array.from({ length: 300 }, (_, i) => i),
}

const error = {
  code: 'invalid',
  message: 'no',
  retryable: false,
  details: [{ path: ['a', 0], message: 'is bad' }],
} as const

/** Server messages of every type, with every field. */
export const serverMessages: readonly ServerMessage[] = [
  {
    type: 'welcome',
    version: 1,
    connection: 'c1',
    user: 'ann',
    expiresAt: 1_767_225_600_000,
    heartbeat: { interval: 25_000, timeout: 10_000 },
    limits: { subscriptions: 100, frame: 65_536, have: 1_000 },
  },
  { type: 'reply', id: 'a', ok: true },
  {
    type: 'reply',
    id: 'a',
    ok: true,
    rows: [
      { key: 1, data: { values } },
      { key: ['a', 2], data: {}, version: 3 },
    ],
    next: 'n',
  },
  { type: 'reply', id: 'a', ok: true, key: 'k', data: values, version: '7', tx: 't', pending: true },
  { type: 'reply', ok: false, error },
  ...Object.entries(errorCodes).map(([code, { retryable }]): ServerMessage => {
    // The names of the table are the codes.
    const known = code as keyof typeof errorCodes
    return { type: 'reply', id: code, ok: false, error: { code: known, message: code, retryable, retryAfter: 5 } }
  }),
  {
    type: 'snapshot',
    id: 's',
    feed: 'f',
    rows: [{ key: 1, data: { values } }],
    part: 0,
    done: false,
    order: [['id', 'asc', 'integer']],
  },
  { type: 'snapshot', id: 's', feed: 'f', rows: [], part: 1, done: true, position: 'p' },
  {
    type: 'changes',
    feed: 'f',
    from: 'p',
    to: 'q',
    changes: [
      { action: 'create', key: 1, data: { values }, version: 1, tx: 't' },
      { action: 'update', key: 'x', data: {} },
      { action: 'enter', key: [1, 'b'], data: { id: 1 } },
      { action: 'leave', key: 2 },
      { action: 'delete', key: 3, tx: 't' },
    ],
  },
  { type: 'reset', id: 's', reason: 'gap', after: 100 },
  {
    type: 'end',
    id: 's',
    error: { code: 'unavailable', message: 'later', retryable: true, retryAfter: 1_000 },
    again: true,
  },
  { type: 'end', id: 's' },
  { type: 'expiring', expiresAt: 1_767_225_600_000 },
  { type: 'goodbye', code: 4452, reason: 'draining', again: true, after: 5_000 },
  { type: 'ping' },
  { type: 'pong' },
]

/** Client messages of every type, with every field. */
export const clientMessages: readonly ClientMessage[] = [
  { type: 'hello', versions: [1], token: 'secret', client: { name: 'test', version: '1.0.0' } },
  { type: 'auth', id: 'a', token: null },
  {
    type: 'request',
    id: 'r',
    resource: 'things',
    action: 'update',
    key: ['a', 1],
    params: { parent: 1 },
    where: { and: [{ text: { startsWith: 'a' } }, { or: [{ id: [1, 2] }, { done: null }] }] },
    order: [['text', 'desc']],
    limit: 10,
    fields: ['id'],
    after: 'cursor',
    data: values,
    ifVersion: 3,
    idempotencyKey: 'once',
  },
  {
    type: 'subscribe',
    id: 's',
    resource: 'things',
    key: 1,
    where: {},
    rows: false,
    since: 'p',
    have: [1, 'b', ['c', 2]],
  },
  { type: 'unsubscribe', id: 's' },
  { type: 'ping' },
  { type: 'pong' },
]
