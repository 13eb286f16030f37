import type { Session } from '@rtapi/core'
import { type AttackWorld, type AttackWorldOptions, hostileRequests, openAttackWorld, refusalOf } from '@rtapi/testing'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { httpHandler, toNodeListener } from '../src/index.ts'
import { type Listening, listen } from './support/listen.ts'

/** Attacks on actions without a session: each is one request, and answered by itself. */

// The machine may be slow, and busy with other things.
vi.setConfig({ testTimeout: 60_000 })

let world: AttackWorld
let server: Listening
let end: () => Promise<void>

async function open(options: AttackWorldOptions = {}): Promise<void> {
  world = openAttackWorld({ ...options, limits: { misses: 1e9, loopLag: 1e9, ...options.limits } })
  const handler = httpHandler(world.api, { acceptRate: 1e9 })
  server = await listen(toNodeListener(handler))
  end = async () => {
    await Promise.all([handler.close({ timeout: 0 }), world.api.close()])
    await server.end()
  }
}

beforeEach(() => open())

afterEach(async () => {
  expect((await ask('notes/list', '', 'honest')).status).toBe(200)
  expect(world.reports).toEqual([])
  await end()
  expect(world.api.stats()).toMatchObject({ connections: 0, timers: 0 })
})

/** Posts a body to a path as it is written, and answers all that comes. */
async function ask(path: string, body: string, token = 'ada', signal?: AbortSignal) {
  const response = await fetch(`${server.origin}/rt/${path}`, {
    method: 'POST',
    body,
    headers: { authorization: `Bearer ${token}` },
    ...(signal === undefined ? {} : { signal }),
  })
  return { status: response.status, text: await response.text(), headers: response.headers }
}

const rows = [...new Set(hostileRequests.map(({ row }) => row))]

test.each(rows)('%s over single requests: what is hostile is refused', async (row) => {
  const before = JSON.stringify(world.notes.find())
  for (const request of hostileRequests.filter((one) => one.row === row)) {
    const { status, text } = await ask(`notes/${request.action}`, `{${request.fields}}`)
    expect(text, request.fields.slice(0, 100)).toMatch(refusalOf(request))
    expect(status, request.fields.slice(0, 100)).toBeGreaterThanOrEqual(400)
    expect(status, request.fields.slice(0, 100)).toBeLessThan(500)
    expect(text.length, request.fields.slice(0, 100)).toBeLessThan(700)
  }
  expect(JSON.stringify(world.notes.find())).toBe(before)
})

test('A6 over single requests: credentials that are none are answered with 401', async () => {
  for (const token of ['NOBODY', 'X'.repeat(8_000), 'a.b.c', '{"alg":"none"}', '../ada']) {
    const { status, text } = await ask('notes/list', '', token)
    expect([status, text]).toEqual([401, expect.stringContaining('unauthenticated')])
    expect(text).not.toContain('text of')
  }
})

test('A9 over single requests: a body above the limit is answered with 413, also if it does not say its length', async () => {
  const big = `{"data":{"owner":"ada","text":"${'x'.repeat(world.api.limits.frame)}"}}`
  expect((await ask('notes/create', big)).status).toBe(413)
  const body = new Blob([big]).stream()
  const init: RequestInit & { duplex: 'half' } = {
    method: 'POST',
    body,
    duplex: 'half',
    headers: { authorization: 'Bearer ada' },
  }
  expect((await fetch(`${server.origin}/rt/notes/create`, init)).status).toBe(413)
  expect(world.notes.find()).toHaveLength(3)
})

test('A12 over single requests: bodies that are no objects are refused', async () => {
  for (const body of [
    '[]',
    '[[[]]]',
    '17',
    'null',
    '"x"',
    '{',
    '{"type":"hello"}',
    '{"id":"x"}',
    '{"resource":"vault"}',
  ])
    expect(await ask('notes/list', body), body).toMatchObject({ status: 400 })
})

test('A21 over single requests: a field that one may not read answers as one that is not there', async () => {
  for (const place of [
    '"where":{"FIELD":"S"}',
    '"order":[["FIELD","asc"]]',
    '"fields":["FIELD"]',
    '"params":{"FIELD":"S"}',
  ]) {
    const say = async (field: string): Promise<string> =>
      (await ask('notes/list', `{${place.replace('FIELD', field)}}`)).text.replaceAll(field, 'FIELD')
    expect(await say('secret')).toBe(await say('nosuch'))
  }
})

test('A28 over single requests: hidden and missing are answered for byte by byte alike', async () => {
  for (const [path, body] of [
    ['get/KEY', ''],
    ['get', '{"key":KEY}'],
    ['update/KEY', '{"data":{"text":"x"}}'],
    ['update/KEY', '{"data":{"text":"x"},"ifVersion":1}'],
    ['delete/KEY', ''],
    ['list', '{"where":{"id":KEY}}'],
  ] as const) {
    const [hidden, missing] = await Promise.all(
      ['2', '9'].map(async (key) => {
        const { status, text, headers } = await ask(`notes/${path.replace('KEY', key)}`, body.replace('KEY', key))
        const told = [...headers].filter(([name]) => name !== 'date')
        return { status, text, told }
      }),
    )
    expect(hidden, path).toEqual(missing)
  }
})

test('A29 over single requests: a taken value is a conflict, and no more is told', async () => {
  const { status, text } = await ask('notes/create', '{"data":{"owner":"ada","text":"x","code":"code of bob"}}')
  expect(status).toBe(409)
  expect(text).not.toMatch(/bob|code of|index|constraint/i)
})

test('A35 over single requests: a key in the path is a key, whatever it looks like', async () => {
  for (const key of [
    '__proto__',
    'constructor',
    '..%2f..%2fvault',
    '%00',
    'a%0d%0aset-cookie:x=1',
    '1%3bdrop',
    '%ff',
    '1/2',
  ]) {
    const { status, text, headers } = await ask(`notes/get/${key}`, '')
    expect([400, 404], key).toContain(status)
    expect(headers.get('set-cookie'), key).toBeNull()
    expect(text, key).not.toContain('text of')
  }
})

test('A41 over single requests: who tries keys is answered later and later', async () => {
  await end()
  await open({ limits: { misses: 3 } })
  for (let i = 0; i < 3; i++) expect((await ask(`notes/get/${1_000 + i}`, '')).status).toBe(404)
  // One miss in twenty seconds from then on: this one is given up before it is answered.
  const patience = new AbortController()
  const late = ask('notes/get/2000', '', 'ada', patience.signal)
  for (let i = 0; i < 5; i++) expect((await ask('notes/get/1', '')).status).toBe(200)
  patience.abort()
  await expect(late).rejects.toThrow()
})

test('A42 over single requests: a replayed write runs once, and keys of others are theirs', async () => {
  const write = '{"data":{"owner":"ada","text":"once"},"idempotencyKey":"k"}'
  const first = await ask('notes/create', write)
  expect(first.status).toBe(200)
  expect((await ask('notes/create', write)).text).toBe(first.text)
  expect((await ask('notes/create', write.replace('once', 'twice'))).status).toBe(409)
  expect((await ask('notes/create', write.replace('"ada"', '"bob"').replace('once', 'his'), 'bob')).status).toBe(200)
  expect(world.notes.find().slice(3)).toMatchObject([{ text: 'once' }, { text: 'his' }])
})

test('A43 over single requests: a write on a record that has changed is a conflict', async () => {
  const { status, text } = await ask('pages/update/1', '{"data":{"text":"b"},"ifVersion":99}')
  expect(status).toBe(409)
  expect(text).toContain('version is 1')
})

test('A46 over single requests: of a name that stands twice the last one holds', async () => {
  const create = (first: string, last: string) =>
    ask('notes/create', `{"data":{"owner":"${first}","text":"twice","owner":"${last}"}}`)
  expect((await create('ada', 'bob')).status).toBe(403)
  expect((await create('bob', 'ada')).text).toContain('"owner":"ada"')
})

test('A48 over single requests: a resource that one may not use answers as one that is not there', async () => {
  for (const action of ['list', 'get', 'create', 'update', 'delete', 'describe', 'constructor']) {
    for (const body of ['', '{"key":1}', '{"data":{}}', '{"where":{"secret":1}}']) {
      const [hidden, missing] = await Promise.all(
        ['vault', 'nosuch'].map(async (resource) => {
          const { status, text } = await ask(`${resource}/${action}`, body)
          return [status, text.replaceAll(resource, 'RESOURCE')]
        }),
      )
      expect(hidden, `${action} ${body}`).toEqual(missing)
      expect(hidden?.[0], `${action} ${body}`).toBe(404)
    }
  }
})

test.each([
  ['throws', () => Promise.reject(new Error('broken'))],
  ['never ends', () => new Promise<never>(() => undefined)],
])('A50 over single requests: a rule that %s fails that request, and no other', async (_what, fail) => {
  await end()
  const rules = [{ scope: ({ session }: { session: Session }) => (session.user?.id === 'ada' ? fail() : true) }]
  await open({ rules, limits: { ruleTimeout: 200 } })
  const [failed, other] = await Promise.all([ask('notes/list', ''), ask('notes/list', '', 'bob')])
  expect([failed.status, other.status]).toEqual([503, 200])
  expect(failed.text).not.toContain('broken')
  expect(world.reports.splice(0)).toHaveLength(1)
})
