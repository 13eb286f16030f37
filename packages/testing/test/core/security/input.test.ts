import { afterEach, describe, expect, test } from 'vitest'
import { type World, answerTo, closeWorlds, codeOf, openWorld } from './security-world.ts'

afterEach(closeWorlds)

const asked = (action: string, rest: string): string =>
  `{"type":"request","id":"r","resource":"notes","action":"${action}",${rest}}`

/** Sends what may not be, as a request or a subscription, on a link of its own; answers what came of it. */
async function refused(world: World, frame: string | Uint8Array): Promise<string> {
  const client = await world.as('ada')
  const answer = await answerTo(world, client, frame)
  await client.close()
  return answer
}

describe('A12 frames that are none', () => {
  test.each<[string, string | Uint8Array]>([
    ['bytes that are no text', new Uint8Array([0, 1, 2, 255, 254])],
    ['an unknown type', '{"type":"admin"}'],
    ['arrays in an array', '[[[]]]'],
    ['an empty frame', ''],
    ['NUL in a name', '{"type":"request","id":"a\\u0000","resource":"notes","action":"list"}'],
    ['a lone surrogate in a key', asked('get', '"key":"\\ud800"')],
    ['a lone surrogate in a filter', asked('list', '"where":{"text":"\\ud800"}')],
    ['NUL in a filter', asked('list', '"where":{"text":"a\\u0000"}')],
  ])('are refused, and the third within ten seconds ends the link: %s', async (name, frame) => {
    const world = openWorld()
    const client = await world.as('ada')
    const answer = await answerTo(world, client, frame)
    expect(answer).toMatch(/"code":"(bad_request|invalid)"/)
    // What could be read, and then was not served, is no bad message.
    if (name.endsWith('filter')) return
    client.sendRaw(frame)
    client.sendRaw(frame)
    expect(await client.untilClosed()).toMatchObject({ code: 4400 })
  })

  test('and not the third in half a minute', async () => {
    const world = openWorld()
    const client = await world.as('ada')
    for (let i = 0; i < 6; i++) {
      await answerTo(world, client, '{')
      await world.clock.advance(5_100)
    }
    expect(client.closed).toBeUndefined()
  })
})

describe('A17 nesting that would overflow the stack', () => {
  test.each([17, 1_000, 32_000])('%i levels', async (levels) => {
    const world = openWorld()
    const deep = '['.repeat(levels) + ']'.repeat(levels)
    for (const frame of [
      asked('create', `"data":{"owner":"ada","text":"x","extra":${deep}}`),
      asked('list', `"where":${'{"and":['.repeat(Math.min(levels, 5_000))}${']}'.repeat(Math.min(levels, 5_000))}`),
      deep,
    ])
      expect(await refused(world, frame)).toContain('"code":"bad_request"')
  })
})

describe('A18 filters that cost', () => {
  const many = (count: number, of: string): string => Array.from({ length: count }, () => of).join(',')
  const where: readonly (readonly [string, string])[] = [
    ['deep', '{"and":[{"or":[{"and":[{"or":[{"and":[{"id":1}]}]}]}]}]}'],
    ['wide', `{"or":[${many(33, '{"id":1}')}]}`],
    ['wide in many places', `{"or":[${many(4, `{"and":[${many(9, '{"id":1}')}]}`)}]}`],
    ['with a long list', `{"id":{"in":[${many(9_000, '1')}]}}`],
    ['with many lists', `{"or":[${many(40, '{"id":{"in":[1,2]}}')}]}`],
    ['of nothing', `{"or":[${many(200, '{}')}]}`],
    ['along relations', '{"owner":{"notes":{"owner":{"text":"x"}}}}'],
    ['along a path', '{"owner.notes.owner":"x"}'],
  ]
  test.each(where)(
    'are refused before anything is asked, in a request and in a subscription: %s',
    async (_name, filter) => {
      const world = openWorld()
      expect(await refused(world, asked('list', `"where":${filter}`))).toContain('"code":"bad_request"')
      const subscribe = `{"type":"subscribe","id":"s","resource":"notes","where":${filter}}`
      expect(await refused(world, subscribe)).toMatch(/"type":"end".*"code":"bad_request"/)
    },
  )
})

test.each([
  '{"or":{"0":{"id":1},"length":1}}',
  '{"and":{"0":{"id":1}}}',
  '{"and":"id"}',
  '{"or":[[{"id":1}]]}',
  '{"or":[null]}',
  '{"id":{"in":{"0":1,"length":1}}}',
  '{"id":[1]}',
  '{"not":[{"id":1}]}',
])('A19 a logical operator that is no array of filters: %s', async (where) => {
  expect(await refused(openWorld(), asked('list', `"where":${where}`))).toContain('"code":"bad_request"')
})

describe('A20 text that is matched', () => {
  test.each(['regex', '$regex', 'regexp', 'matches', 'like', 'ilike', 'contains', 'endsWith'])(
    'by %s: there is no such operator',
    async (operator) => {
      const where = `"where":{"text":{"${operator}":"(a+)+$"}}`
      expect(await refused(openWorld(), asked('list', where))).toContain('"code":"bad_request"')
    },
  )

  test('signs of LIKE stand for themselves', async () => {
    const world = openWorld()
    const client = await world.as('ada')
    for (const startsWith of ['%', '_ext', 'te%', '\\', 'text%']) {
      const reply = await client.request({ resource: 'notes', action: 'list', where: { text: { startsWith } } })
      expect(reply).toMatchObject({ ok: true, rows: [] })
    }
  })
})

test.each([
  ['"where":{"__proto__":{"id":1}}', 'list'],
  ['"where":{"constructor":{"eq":1}}', 'list'],
  ['"where":{"id":{"__proto__":1}}', 'list'],
  ['"where":{"toString":1}', 'list'],
  ['"where":{"hasOwnProperty":{"eq":1}}', 'list'],
  ['"params":{"__proto__":{"owner":"bob"}}', 'list'],
  ['"order":[["__proto__","asc"]]', 'list'],
  ['"fields":["constructor"]', 'list'],
  ['"data":{"owner":"ada","text":"x","__proto__":{"owner":"bob"}}', 'create'],
  ['"data":{"owner":"ada","text":"x","extra":{"a":[{"prototype":1}]}}', 'create'],
  ['"__proto__":{"key":1},"data":{}', 'create'],
])('A23 names that reach a prototype: %s', async (rest, action) => {
  const world = openWorld()
  expect(await refused(world, asked(action, rest))).toContain('"code":"bad_request"')
  expect(Object.keys(Object.prototype)).toEqual([])
  expect(world.notes.find()).toHaveLength(3)
})

describe('A24 objects where a scalar belongs', () => {
  test.each([
    '{"__raw":true,"sql":"1=1"}',
    '{"$gt":""}',
    '{"Symbol(gt)":1}',
    '{"type":"Buffer","data":[1]}',
    '{"toISOString":"now"}',
    '["ada"]',
    '[["ada"]]',
    'true',
    '1',
  ])('%s', async (value) => {
    const world = openWorld()
    expect(await refused(world, asked('list', `"where":{"owner":${value}}`))).toContain('"code":"bad_request"')
    expect(await refused(world, asked('list', `"where":{"owner":{"eq":${value}}}`))).toContain('"code":"bad_request"')
    const data = `"data":{"owner":"ada","text":${value}}`
    expect(await refused(world, asked('create', data))).toMatch(/"code":"(bad_request|invalid)"/)
    expect(world.notes.find()).toHaveLength(3)
  })
})

test.each([
  '[["id","ASC"]]',
  '[["id","asc; drop table notes"]]',
  '[["id","asc nulls first"]]',
  '[["id","desc",1]]',
  '[["id",{"sql":"1"}]]',
  '[["length(text)","asc"]]',
  '[["id; --","asc"]]',
  '{"id":"asc"}',
  '"id"',
])('A25 an order that is none: %s', async (order) => {
  expect(await refused(openWorld(), asked('list', `"order":${order}`))).toContain('"code":"bad_request"')
})

test.each(["extra'--", 'extra->>a', 'extra::text', 'extra.a', 'extra[0]', '(extra)', 'extra"', 'lower(text)'])(
  'A26 a path in place of a field: %s',
  async (field) => {
    const world = openWorld()
    const name = JSON.stringify(field)
    for (const rest of [`"where":{${name}:1}`, `"order":[[${name},"asc"]]`, `"fields":[${name}]`])
      expect(await refused(world, asked('list', rest))).toContain('"code":"bad_request"')
    expect(await refused(world, asked('create', `"data":{"owner":"ada","text":"x",${name}:1}`))).toContain(
      'bad_request',
    )
  },
)

describe('A27 fields that one may not write', () => {
  test.each(['id', 'secret', 'version', 'createdAt', 'role', 'notes', 'owner.role'])('%s', async (field) => {
    const world = openWorld()
    const client = await world.as('ada')
    for (const value of [99, 'x', { text: 'nested' }]) {
      const data = { text: 'x', [field]: value }
      expect(await codeOf(client, { resource: 'notes', action: 'create', data: { owner: 'ada', ...data } })).toBe(
        'bad_request',
      )
      expect(await codeOf(client, { resource: 'notes', action: 'update', key: 1, data })).toBe('bad_request')
    }
    expect(world.notes.read([1])).toMatchObject([{ text: 'text of ada', secret: 'SECRET-ada' }])
  })

  test('are refused by words that do not tell whether there is such a field', async () => {
    const client = await openWorld().as('ada')
    const say = async (field: string): Promise<string> => {
      const data = { owner: 'ada', text: 'x', [field]: 'x' }
      const reply = await client.request({ id: 'r', resource: 'notes', action: 'create', data })
      return JSON.stringify(reply).replaceAll(field, 'FIELD')
    }
    expect(await say('secret')).toBe(await say('nosuch'))
  })

  test('an owner that one is not', async () => {
    const world = openWorld()
    const client = await world.as('ada')
    const data = { owner: 'bob', text: 'x' }
    expect(await codeOf(client, { resource: 'notes', action: 'create', data })).toBe('forbidden')
    expect(await codeOf(client, { resource: 'notes', action: 'update', key: 1, data })).toBe('forbidden')
    expect(world.notes.find().map(({ owner }) => owner)).toEqual(['ada', 'bob', 'public'])
  })
})

describe('A45 numbers that are none', () => {
  const digits = '9'.repeat(30_000)
  test.each([
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
  ])('%s: %s', async (field, value) => {
    const world = openWorld()
    expect(await refused(world, asked('list', `"where":{"${field}":${value}}`))).toMatch(/"code":"bad_request"/)
    const create = await refused(world, asked('create', `"data":{"owner":"ada","text":"x","${field}":${value}}`))
    expect(create).toMatch(/"code":"(bad_request|invalid)"/)
    expect(create.length).toBeLessThan(500)
    expect(world.notes.find()).toHaveLength(3)
  })

  test('negative zero is zero', async () => {
    const world = openWorld()
    expect(await refused(world, asked('list', '"where":{"count":-0}'))).toContain('"key":1')
  })
})

test('A46 of a name that stands twice the last one holds, for the rules as for the store', async () => {
  const world = openWorld()
  const twice = (first: string, last: string): string =>
    asked('create', `"data":{"owner":"${first}","text":"twice","owner":"${last}"}`)
  expect(await refused(world, twice('ada', 'bob'))).toContain('"code":"forbidden"')
  expect(await refused(world, twice('bob', 'ada'))).toContain('"owner":"ada"')
  expect(world.notes.find().filter(({ text }) => text === 'twice')).toMatchObject([{ owner: 'ada' }])
})
