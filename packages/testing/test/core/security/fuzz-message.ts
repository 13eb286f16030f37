import type { SeededRandom } from '@rtapi/testing'

const names = [
  'id',
  'owner',
  'text',
  'secret',
  'nosuch',
  '__proto__',
  'constructor',
  'and',
  'or',
  'in',
  'eq',
  'gt',
  'lte',
  '',
  'a.b',
]
const texts = [
  '',
  'a',
  'notes',
  'vault',
  'nosuch',
  'toString',
  '\u0000',
  '\ud800',
  '😀',
  '%_\\',
  '1e400',
  '2026-01-01T00:00:00.000Z',
]
const numbers = ['0', '-0', '1', '-1', '1.5', '1e400', '9007199254740993', '1e-400', '99999999999999999999']
const actions = ['list', 'get', 'create', 'update', 'delete', 'describe', 'subscribe', 'echo', 'hasOwnProperty']

/** What each field of a message may hold, as JSON; half of the time something else stands there. */
const fields: Readonly<Record<string, (random: SeededRandom) => string>> = {
  type: (random) =>
    text(
      random.pick([
        'hello',
        'auth',
        'request',
        'request',
        'request',
        'subscribe',
        'subscribe',
        'unsubscribe',
        'ping',
        'pong',
        'welcome',
      ]),
    ),
  id: (random) => text(random.chance(0.9) ? `i${random.integer(40)}` : random.pick(texts)),
  resource: (random) => text(random.pick(['notes', 'notes', 'notes', 'vault', 'nosuch', '__proto__'])),
  action: (random) => text(random.pick(actions)),
  key: (random) => random.pick([String(random.integer(6)), '"1"', '[1]', '[1,"a"]', '[]', 'null', '"\\ud800"']),
  where: (random) => filter(random, 0),
  order: (random) =>
    random.pick([
      '[]',
      '[["id","asc"]]',
      '[["text","desc"],["id","asc"]]',
      '[["secret","asc"]]',
      '[["id","up"]]',
      '{}',
    ]),
  limit: (random) => random.pick(['1', '3', '0', '-1', '1001', '1e9', '"1"']),
  fields: (random) => random.pick(['["id"]', '["id","text"]', '["secret"]', '[]', '[1]']),
  after: (random) => text(random.pick(['', 'x', 'WzFd', encodeURIComponent('[1]'), '%'])),
  data: (random) =>
    random.pick([`{"owner":"ada","text":${value(random, 1)}}`, `{"text":${value(random, 1)}}`, value(random, 0)]),
  params: (random) => random.pick(['{}', '{"owner":"ada"}', '{"nosuch":1}', value(random, 1)]),
  ifVersion: (random) => random.pick(['1', '"1"', '1.5', 'null']),
  idempotencyKey: (random) => text(random.pick(['k', 'l', 'a b', ''])),
  since: (random) => text(random.pick(['x', '', 'a.b.1', '0'.repeat(900)])),
  have: (random) => random.pick(['[]', '[1,2,3]', '[[1]]', '[{}]', '["a"]']),
  rows: (random) => random.pick(['true', 'false', '0']),
  token: (random) => random.pick(['null', '"ada"', '"bob"', '"NOBODY"', '1']),
  versions: (random) => random.pick(['[1]', '[2]', '[]', '1']),
}
const optional = Object.keys(fields).slice(4)

/** A frame of a client as it might be meant, with mistakes; or a batch of them. */
export function grammarFrame(random: SeededRandom): string {
  const count = random.chance(0.85) ? 1 : random.integer(5)
  const messages = Array.from({ length: count }, () => message(random))
  return count === 1 ? (messages[0] ?? '') : `[${messages.join(',')}]`
}

/** The same, with its characters changed, doubled, lost, cut or joined with those of another. */
export function brokenFrame(random: SeededRandom): string | Uint8Array {
  const frame = grammarFrame(random)
  if (random.chance(0.2))
    return Uint8Array.from(new TextEncoder().encode(frame), (byte) =>
      random.chance(0.02) ? byte ^ (1 << random.integer(8)) : byte,
    )
  let broken = frame
  for (let i = random.integer(3); i > 0; i--) {
    const at = random.integer(broken.length + 1)
    const char = random.pick([
      '"',
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '\\',
      'e',
      '9',
      ' ',
      '\u0000',
      '\\u0000',
      '\ud800',
      'null',
    ])
    const rest = random.pick([at, at + 1, at + random.integer(20)])
    broken = random.chance(0.1)
      ? broken.slice(0, at)
      : broken.slice(0, at) + (random.chance(0.7) ? char : broken.slice(0, 30)) + broken.slice(rest)
  }
  return broken
}

function message(random: SeededRandom): string {
  const type = fields['type']?.(random) ?? ''
  const parts = [`"type":${type}`]
  const add = (name: string): void =>
    void parts.push(`"${name}":${random.chance(0.9) ? (fields[name]?.(random) ?? '1') : value(random, 0)}`)
  if (type !== '"ping"' && type !== '"pong"') add('id')
  if (type === '"request"' || type === '"subscribe"') add('resource')
  if (type === '"request"') add('action')
  if (type === '"auth"') add('token')
  for (let i = random.integer(4); i > 0; i--) add(random.pick(optional))
  if (random.chance(0.03)) parts.push(`"${random.pick(names)}":${value(random, 0)}`)
  return `{${parts.join(',')}}`
}

function filter(random: SeededRandom, depth: number): string {
  if (depth < 6 && random.chance(0.3)) {
    const inner = Array.from({ length: random.integer(4) }, () => filter(random, depth + 1))
    return `{"${random.pick(['and', 'or', 'not'])}":[${inner.join(',')}]}`
  }
  const field = random.pick(names)
  if (random.chance(0.5)) return `{"${field}":${value(random, 2)}}`
  const operator = random.pick(['eq', 'ne', 'in', 'nin', 'lt', 'lte', 'gt', 'gte', 'startsWith', 'isNull', 'like'])
  return `{"${field}":{"${operator}":${random.chance(0.3) ? `[${value(random, 3)},${value(random, 3)}]` : value(random, 3)}}}`
}

function value(random: SeededRandom, depth: number): string {
  const kind = random.integer(depth > 4 ? 4 : 6)
  if (kind === 0) return random.pick(numbers)
  if (kind === 1) return text(random.pick(texts))
  if (kind === 2) return random.pick(['true', 'false', 'null'])
  if (kind === 3) return text('x'.repeat(random.integer(300)))
  const items = Array.from({ length: random.integer(4) }, () => value(random, depth + 1))
  return kind === 4 ? `[${items.join(',')}]` : `{${items.map((item) => `"${random.pick(names)}":${item}`).join(',')}}`
}

function text(value: string): string {
  return JSON.stringify(value)
}
