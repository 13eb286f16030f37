import { type SeededRandom, seededRandom } from '@rtapi/testing'
import { expect, test, vi } from 'vitest'
import { httpHandler } from '../src/index.ts'
import { fakeClock } from '@rtapi/testing'
import { Asking } from './support/asking.ts'
import { notesApi, notesStore } from './support/notes-api.ts'

// The machine may be slow, and busy with other things.
vi.setConfig({ testTimeout: 60_000 })

const REQUESTS = 3_000

const methods = ['POST', 'POST', 'POST', 'POST', 'GET', 'GET', 'PUT', 'DELETE', 'OPTIONS', 'HEAD']
const parts = [
  'rt',
  'poll',
  'close',
  'stream',
  'notes',
  'list',
  'get',
  'update',
  '1',
  '%00',
  '%zz',
  '..',
  '',
  '%F0',
  'ä',
]
const values = [
  '1',
  '-1',
  '0',
  '9'.repeat(400),
  '1e9',
  '',
  'x',
  '{}',
  'null',
  '0123456789abcdef',
  '\u00ff',
  'Bearer ann',
]
const names = [
  'rtapi-session',
  'rtapi-sequence',
  'rtapi-cursor',
  'rtapi-open',
  'last-event-id',
  'authorization',
  'cookie',
  'origin',
  'referer',
  'content-type',
  'content-encoding',
  'content-length',
  'x-forwarded-for',
]
const bodies = [
  '',
  '{}',
  '[]',
  'null',
  '{',
  '"\ud800"',
  '[[[]]]',
  '{"session":"SESSION","cursor":0}',
  '{"session":"SESSION","cursor":5}',
  '{"session":"SESSION"}',
  '{"type":"hello","versions":[1]}',
  '[{"type":"hello","versions":[1]},{"type":"subscribe","id":"a","resource":"notes"}]',
  '[{"type":"hello","versions":[1],"token":"ann"},{"type":"request","id":"r","resource":"notes","action":"list"}]',
  '{"type":"subscribe","id":"a","resource":"notes","where":{"__proto__":1}}',
  '{"data":{"text":"x","constructor":{}}}',
  '{"where":{"topicId":{"in":[1,2,{}]}}}',
]

/** A request that nobody has thought of. */
function anyRequest(random: SeededRandom, session: string): readonly [string, string, RequestInit] {
  const method = random.pick(methods)
  const path = Array.from({ length: random.integer(4) }, () => random.pick(parts)).join('/')
  const query = random.chance(0.3)
    ? `?${random.pick(['session', 'subscribe', 'cursor', 'x'])}=${random.pick(bodies)}`
    : ''
  const headers = new Headers()
  for (let i = random.integer(4); i > 0; i--)
    headers.set(random.pick(names), random.chance(0.3) ? session : random.pick(values))
  const body = method === 'GET' || method === 'HEAD' ? undefined : random.pick(bodies).replace('SESSION', session)
  return [
    method,
    `${random.chance(0.9) ? '/rt/' : '/'}${path}${query}`,
    { headers, ...(body === undefined ? {} : { body }) },
  ]
}

test.each([1, 2])('no request of any shape makes the server fail, with seed %i', async (seed) => {
  const random = seededRandom(seed)
  const clock = fakeClock()
  const reports: unknown[] = []
  const store = notesStore([{ id: 1, topicId: 1, text: 'a', owner: 'ann' }])
  const api = notesApi(store, { clock, report: (error) => void reports.push(error) })
  const asking = new Asking(httpHandler(api, { acceptRate: Infinity, maxSessionsPerAddress: Infinity }), clock)
  const statuses = new Map<number, number>()
  let session = '0'.repeat(32)
  for (let i = 0; i < REQUESTS; i++) {
    const [method, path, init] = anyRequest(random, session)
    const gone = new AbortController()
    const held = await asking.send(method, path, { ...init, signal: gone.signal })
    if (held.isHeld) gone.abort()
    const response = await held.response
    statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1)
    if (response.headers.get('content-type')?.startsWith('text/event-stream') === true) await response.body?.cancel()
    else session = /^\{"session":"([0-9a-f]{32})"/.exec(await response.text())?.[1] ?? session
  }
  expect(reports.map(String)).toEqual([])
  expect([...statuses.keys()].filter((status) => status >= 500 && status !== 503)).toEqual([])
  // It did not only knock at doors that are shut.
  for (const status of [200, 204, 400, 403, 404, 405, 415]) expect(statuses.get(status), `${status}`).toBeGreaterThan(5)
  await clock.advance(60_000)
  expect([clock.timers, api.stats().connections, api.stats().subscriptions]).toEqual([0, 0, 0])
  await api.close()
})
