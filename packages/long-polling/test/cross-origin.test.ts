import { describe, expect, test } from 'vitest'
import type { HttpOptions } from '../src/index.ts'
import { type Headers, ORIGIN, recorded } from './support/asking.ts'

const cookie = { cookie: 'user=ann' }
const LISTED = 'https://pages.example'

/** How a request with these headers is answered, by its status and whether the API was told of it. */
async function answerTo(
  method: string,
  path: string,
  headers: Headers,
  options: HttpOptions = {},
): Promise<{ readonly status: number | 'held'; readonly reached: boolean; readonly headers: Headers }> {
  const { asking, api } = recorded(options)
  const held = await asking.send(method, path, { headers, ...(method === 'POST' ? { body: 'hello' } : {}) })
  const reached = api.links.length > 0
  if (held.isHeld) return { status: 'held', reached, headers: {} }
  const response = await held.response
  return { status: response.status, reached, headers: Object.fromEntries(response.headers) }
}

describe('who may ask', () => {
  test.each<[string, Headers, boolean]>([
    ['no browser', {}, true],
    ['no browser, with cookies', cookie, false],
    ['the own page', { ...cookie, origin: ORIGIN }, true],
    ['a foreign page', { ...cookie, origin: 'http://evil.example' }, false],
    ['a foreign page without cookies', { origin: 'http://evil.example' }, false],
    ['null', { ...cookie, origin: 'null' }, false],
    ['a longer twin', { ...cookie, origin: `${ORIGIN}.evil.example` }, false],
    ['another port', { ...cookie, origin: `${ORIGIN}:81` }, false],
    ['another scheme', { ...cookie, origin: ORIGIN.replace('http', 'https') }, false],
    ['upper case', { ...cookie, origin: ORIGIN.toUpperCase() }, false],
    ['two origins', { ...cookie, origin: `${ORIGIN}, http://evil.example` }, false],
    ['a page which only says that it is ours', { ...cookie, 'sec-fetch-site': 'same-origin' }, false],
  ])('%s: %o', async (_name, headers, allowed) => {
    const { status, reached } = await answerTo('POST', '/rt', headers)
    expect([status, reached]).toEqual(allowed ? ['held', true] : [403, false])
  })

  test.each(['/rt', '/rt/poll', '/rt/close', '/rt/notes/list'])('a foreign page gets nothing from %s', async (path) => {
    const { status, reached, headers } = await answerTo('POST', path, { origin: 'http://evil.example' })
    expect([status, reached, headers['access-control-allow-origin']]).toEqual([403, false, undefined])
  })

  test.each<[string, Headers, boolean]>([
    ['the own page', { ...cookie, 'sec-fetch-site': 'same-origin' }, true],
    ['the own page without TLS', { ...cookie, referer: `${ORIGIN}/page` }, true],
    ['a foreign page', { ...cookie, 'sec-fetch-site': 'cross-site' }, false],
    ['a foreign page without TLS', { ...cookie, referer: 'http://evil.example/' }, false],
    ['a foreign page that asks for more', { origin: 'http://evil.example' }, false],
    ['no browser', {}, true],
  ])('an EventSource of %s', async (_name, headers, allowed) => {
    const { status, reached } = await answerTo('GET', '/rt/stream?subscribe={"resource":"notes"}', headers)
    expect([status, reached]).toEqual(allowed ? ['held', true] : [403, false])
  })

  test('behind a trusted proxy its headers say what is the own page', async () => {
    const headers = { ...cookie, 'x-forwarded-proto': 'https', 'x-forwarded-host': 'pages.example', origin: LISTED }
    expect((await answerTo('POST', '/rt', headers)).status).toBe(403)
    expect((await answerTo('POST', '/rt', headers, { trustProxy: true })).status).toBe('held')
  })
})

describe('what pages of other origins may read', () => {
  const missing = '/rt/nowhere'

  test('those that are listed, with cookies', async () => {
    const { headers } = await answerTo('POST', missing, { ...cookie, origin: LISTED }, { origins: [LISTED] })
    expect(headers).toMatchObject({
      'access-control-allow-origin': LISTED,
      'access-control-allow-credentials': 'true',
      'access-control-expose-headers': 'retry-after',
    })
  })

  test('all of them where nobody is asked, but without cookies', async () => {
    const { headers } = await answerTo('POST', missing, { origin: LISTED }, { origins: 'any' })
    expect(headers['access-control-allow-origin']).toBe('*')
    expect(headers).not.toHaveProperty('access-control-allow-credentials')
  })

  test('the own page needs no leave', async () => {
    const { status, headers } = await answerTo('POST', missing, { origin: ORIGIN })
    expect([status, headers['access-control-allow-origin']]).toEqual([404, undefined])
  })
})

describe('preflight', () => {
  const ask = { 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization' }

  test('a listed page may send the headers of the protocol', async () => {
    const { status, headers } = await answerTo('OPTIONS', '/rt/poll', { ...ask, origin: LISTED }, { origins: [LISTED] })
    expect(status).toBe(204)
    expect(headers['access-control-allow-origin']).toBe(LISTED)
    expect(headers['access-control-allow-headers']?.split(', ')).toEqual([
      'authorization',
      'content-type',
      'rtapi-session',
      'rtapi-sequence',
      'rtapi-cursor',
      'rtapi-open',
    ])
  })

  test('a foreign page may not', async () => {
    const { status, headers } = await answerTo('OPTIONS', '/rt/poll', { ...ask, origin: 'http://evil.example' })
    expect(status).toBe(403)
    expect(Object.keys(headers).filter((name) => name.startsWith('access-control-'))).toEqual([])
  })
})
