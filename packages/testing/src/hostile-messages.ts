/**
 * Messages that an attacker sends and a server refuses, as tables, so that they are tried in every way there is to send
 * them. Each is JSON as it stands on the wire, which is more than `JSON.stringify` writes.
 */

/** Fields of a request for `notes`, that is refused. */
export interface HostileRequest {
  /** The row of docs/security.md. */
  readonly row: string
  readonly action: 'list' | 'get' | 'create' | 'update'
  /** JSON of the other fields, without braces. */
  readonly fields: string
  /** By which code. `invalid`: a store or validator may say so too. @default 'bad_request' */
  readonly code?: 'bad_request' | 'invalid or bad_request' | 'forbidden'
}

/** Frames that are no messages. Which of them a transport takes at all depends on how it writes text. */
export const hostileFrames: readonly (readonly [what: string, frame: string | Uint8Array])[] = [
  ['bytes that are no text', new Uint8Array([0, 1, 2, 255, 254])],
  ['an unknown type', '{"type":"admin"}'],
  ['arrays in an array', '[[[]]]'],
  ['an empty frame', ''],
  ['no JSON', '{"type":'],
  ['a number', '17'],
  ['a prototype', '{"type":"ping","__proto__":{"polluted":true}}'],
  ['a type that objects have', '{"type":"constructor"}'],
  ['NUL in a name', '{"type":"request","id":"a\\u0000","resource":"notes","action":"list"}'],
  ['a lone surrogate in a key', requestOf('get', '"key":"\\ud800"')],
  ['nesting', nested(17)],
  ['deep nesting', nested(32_000)],
]

/** Filters that cost too much, or are none; in a request and in a subscription. */
export const hostileFilters: readonly (readonly [row: string, filter: string])[] = [
  ['A18', '{"and":[{"or":[{"and":[{"or":[{"and":[{"id":1}]}]}]}]}]}'],
  ['A18', `{"or":[${many(33, '{"id":1}')}]}`],
  ['A18', `{"or":[${many(4, `{"and":[${many(9, '{"id":1}')}]}`)}]}`],
  ['A18', `{"id":{"in":[${many(9_000, '1')}]}}`],
  ['A18', `{"or":[${many(40, '{"id":{"in":[1,2]}}')}]}`],
  ['A18', `{"or":[${many(200, '{}')}]}`],
  ['A22', '{"owner":{"notes":{"owner":{"text":"x"}}}}'],
  ['A22', '{"owner.notes.owner":"x"}'],
  ['A19', '{"or":{"0":{"id":1},"length":1}}'],
  ['A19', '{"and":{"0":{"id":1}}}'],
  ['A19', '{"and":"id"}'],
  ['A19', '{"or":[[{"id":1}]]}'],
  ['A19', '{"or":[null]}'],
  ['A19', '{"id":{"in":{"0":1,"length":1}}}'],
  ['A19', '{"id":[1]}'],
  ['A19', '{"not":[{"id":1}]}'],
  // There are no such operators.
  ...['regex', '$regex', 'regexp', 'matches', 'like', 'ilike', 'contains', 'endsWith'].map(
    (operator) => ['A20', `{"text":{"${operator}":"(a+)+$"}}`] as const,
  ),
]

/** Values that mean something to an ORM, where a text belongs. */
const markers = [
  '{"__raw":true,"sql":"1=1"}',
  '{"$gt":""}',
  '{"Symbol(gt)":1}',
  '{"type":"Buffer","data":[1]}',
  '{"toISOString":"now"}',
  '["ada"]',
  '[["ada"]]',
  'true',
  '1',
]

const orders = [
  '[["id","ASC"]]',
  '[["id","asc; drop table notes"]]',
  '[["id","asc nulls first"]]',
  '[["id","desc",1]]',
  '[["id",{"sql":"1"}]]',
  '[["length(text)","asc"]]',
  '[["id; --","asc"]]',
  '{"id":"asc"}',
  '"id"',
]

const paths = ["extra'--", 'extra->>a', 'extra::text', 'extra.a', 'extra[0]', '(extra)', 'extra"', 'lower(text)']

const digits = '9'.repeat(30_000)

/** Values that the type of the field does not have. */
const values: readonly (readonly [field: string, value: string])[] = [
  ['count', '1e400'],
  ['count', '-1e400'],
  ['count', '9007199254740993'],
  ['count', '1.5'],
  ['count', '"NaN"'],
  ['count', '"1"'],
  ['big', `"${digits}"`],
  ['big', '"9223372036854775808"'],
  ['big', '"0x10"'],
  ['big', '"1e3"'],
  ['price', `"${digits}"`],
  ['price', `"1.${digits}"`],
  ['price', '"NaN"'],
  ['price', '"Infinity"'],
  ['at', '"+1000000000-01-01T00:00:00Z"'],
  ['at', '"10000-01-01T00:00:00Z"'],
  ['at', '"2026-02-30T00:00:00Z"'],
  ['at', '"now"'],
  ['at', '0'],
]

/** Requests that are refused, of whomever. */
export const hostileRequests: readonly HostileRequest[] = [
  { row: 'A12', action: 'list', fields: '"where":{"text":"\\ud800"}' },
  { row: 'A12', action: 'list', fields: '"where":{"text":"a\\u0000"}' },
  ...[17, 1_000, 32_000].flatMap((levels): readonly HostileRequest[] => [
    { row: 'A17', action: 'create', fields: newNote(`,"extra":${nested(levels)}`) },
    { row: 'A17', action: 'list', fields: `"where":${nestedFilter(Math.min(levels, 5_000))}` },
  ]),
  ...hostileFilters.map(([row, filter]): HostileRequest => ({ row, action: 'list', fields: `"where":${filter}` })),
  ...[
    '"where":{"__proto__":{"id":1}}',
    '"where":{"constructor":{"eq":1}}',
    '"where":{"id":{"__proto__":1}}',
    '"where":{"toString":1}',
    '"where":{"hasOwnProperty":{"eq":1}}',
    '"params":{"__proto__":{"owner":"bob"}}',
    '"order":[["__proto__","asc"]]',
    '"fields":["constructor"]',
  ].map((fields): HostileRequest => ({ row: 'A23', action: 'list', fields })),
  { row: 'A23', action: 'create', fields: newNote(',"__proto__":{"owner":"bob"}') },
  { row: 'A23', action: 'create', fields: newNote(',"extra":{"a":[{"prototype":1}]}') },
  { row: 'A23', action: 'create', fields: '"__proto__":{"key":1},"data":{}' },
  ...markers.flatMap((value): readonly HostileRequest[] => [
    { row: 'A24', action: 'list', fields: `"where":{"owner":${value}}` },
    { row: 'A24', action: 'list', fields: `"where":{"owner":{"eq":${value}}}` },
    { row: 'A24', action: 'create', fields: `"data":{"owner":"ada","text":${value}}`, code: 'invalid or bad_request' },
    { row: 'A24', action: 'get', fields: `"key":{"id":${value}}` },
  ]),
  ...orders.map((order): HostileRequest => ({ row: 'A25', action: 'list', fields: `"order":${order}` })),
  ...paths
    .map((path) => JSON.stringify(path))
    .flatMap((name): readonly HostileRequest[] => [
      { row: 'A26', action: 'list', fields: `"where":{${name}:1}` },
      { row: 'A26', action: 'list', fields: `"order":[[${name},"asc"]]` },
      { row: 'A26', action: 'list', fields: `"fields":[${name}]` },
      { row: 'A26', action: 'create', fields: newNote(`,${name}:1`) },
    ]),
  ...['id', 'secret', 'version', 'createdAt', 'role', 'notes', 'owner.role'].flatMap((field) =>
    ['99', '"x"', '{"text":"nested"}'].flatMap((value): readonly HostileRequest[] => [
      { row: 'A27', action: 'create', fields: newNote(`,"${field}":${value}`) },
      { row: 'A27', action: 'update', fields: `"key":1,"data":{"text":"x","${field}":${value}}` },
    ]),
  ),
  { row: 'A27', action: 'create', fields: '"data":{"owner":"bob","text":"x"}', code: 'forbidden' },
  { row: 'A27', action: 'update', fields: '"key":1,"data":{"owner":"bob","text":"x"}', code: 'forbidden' },
  ...values.flatMap(([field, value]): readonly HostileRequest[] => [
    { row: 'A45', action: 'list', fields: `"where":{"${field}":${value}}` },
    { row: 'A45', action: 'create', fields: newNote(`,"${field}":${value}`), code: 'invalid or bad_request' },
  ]),
]

/** The frame of such a request. */
export function requestOf(action: string, fields: string): string {
  return `{"type":"request","id":"r","resource":"notes","action":"${action}",${fields}}`
}

/** The pattern that a refusal in JSON matches, as reply, `end` or answer of HTTP. */
export function refusalOf({ code = 'bad_request' }: Pick<HostileRequest, 'code'>): RegExp {
  return new RegExp(`"code":"(${code.replace(' or ', '|')})"`)
}

function newNote(more: string): string {
  return `"data":{"owner":"ada","text":"x"${more}}`
}

function nested(levels: number): string {
  return '['.repeat(levels) + ']'.repeat(levels)
}

function nestedFilter(levels: number): string {
  return '{"and":['.repeat(levels) + ']}'.repeat(levels)
}

function many(count: number, of: string): string {
  return Array.from({ length: count }, () => of).join(',')
}
