import { describe, expect, test } from 'vitest'
import { serveWebSocket } from '../src/index.ts'
import { FakeApi } from './fake-api.ts'
import { serve } from './harness.ts'
import { type Headers, RawClient } from './raw-client.ts'
import { createServer } from 'node:http'

const HOST = 'app.example:8080'
const OWN = `http://${HOST}`
const COOKIE = { Cookie: 'session=1' }

async function statusOf(options: Parameters<typeof serve>[0], headers: Headers): Promise<number> {
  const { port, api } = await serve(options)
  const { answer } = await RawClient.open(port, { Host: HOST, ...COOKIE, ...headers })
  expect(api.clients.length, 'nobody reaches the API without an upgrade').toBe(answer.status === 101 ? 1 : 0)
  return answer.status
}

describe('by default, only the own origin of the server may bring cookies', () => {
  test.each<[string, Headers, number]>([
    ['the own origin', { Origin: OWN }, 101],
    ['no origin and no cookie', { Cookie: null }, 101],
    ['no origin but a cookie', {}, 403],
    ['an empty origin', { Origin: '' }, 403],
    ['a foreign origin', { Origin: 'http://evil.example' }, 403],
    ['a foreign origin without cookies', { Origin: 'http://evil.example', Cookie: null }, 403],
    ['null', { Origin: 'null' }, 403],
    ['null without cookies', { Origin: 'null', Cookie: null }, 403],
    ['a longer twin', { Origin: `${OWN}.evil.example` }, 403],
    ['a twin with more digits in the port', { Origin: `${OWN}0` }, 403],
    ['a twin that ends alike', { Origin: `http://evil${HOST}` }, 403],
    ['a subdomain', { Origin: `http://www.${HOST}` }, 403],
    ['the host as a user name', { Origin: `http://${HOST}@evil.example` }, 403],
    ['another scheme', { Origin: `https://${HOST}` }, 403],
    ['another port', { Origin: 'http://app.example:8081' }, 403],
    ['no port', { Origin: 'http://app.example' }, 403],
    ['upper case', { Origin: `HTTP://${HOST.toUpperCase()}` }, 403],
    ['a path behind it', { Origin: `${OWN}/` }, 403],
    ['two, one of them right', { Origin: [OWN, 'http://evil.example'] }, 403],
    ['two, both right', { Origin: [OWN, OWN] }, 403],
    ['the default port spelled out in Host', { Host: 'app.example:80', Origin: 'http://app.example' }, 101],
    ['a Host in upper case', { Host: 'APP.example:8080', Origin: OWN }, 101],
    ['an IPv6 host', { Host: '[::1]:8080', Origin: 'http://[::1]:8080' }, 101],
    ['a Host that is none', { Host: 'a@app.example:8080', Origin: OWN }, 403],
    ['what a proxy says, since none is trusted', { Origin: 'https://x.example', 'X-Forwarded-Host': 'x.example' }, 403],
  ])('%s', async (_name, headers, status) => {
    expect(await statusOf({}, headers)).toBe(status)
  })
})

describe('listed origins may connect too', () => {
  const origins = ['https://app.example.com', 'http://localhost:5173']

  test.each<[string, string, number]>([
    ['a listed one', 'https://app.example.com', 101],
    ['another listed one', 'http://localhost:5173', 101],
    ['the own one', OWN, 101],
    ['a listed one in upper case', 'https://APP.example.com', 403],
    ['a listed one with its default port', 'https://app.example.com:443', 403],
    ['a twin of a listed one', 'https://app.example.com.evil.example', 403],
    ['null, which is not listed', 'null', 403],
  ])('%s', async (_name, origin, status) => {
    expect(await statusOf({ origins }, { Origin: origin })).toBe(status)
  })

  test('null if it is listed', async () => {
    expect(await statusOf({ origins: ['null'] }, { Origin: 'null' })).toBe(101)
  })

  test.each(['https://app.example.com/', 'https://APP.example.com', 'app.example.com', 'https://a.example:443', '*'])(
    'refuses to start with %s, which no browser sends',
    (origin) => {
      expect(() => serveWebSocket(new FakeApi(), createServer(), { origins: [origin] })).toThrow(/origins: '/)
    },
  )
})

test("with 'any', nobody is asked", async () => {
  expect(await statusOf({ origins: 'any' }, { Origin: 'http://evil.example' })).toBe(101)
  expect(await statusOf({ origins: 'any' }, {})).toBe(101)
})

describe('behind a trusted proxy, its headers say the own origin', () => {
  const forwarded = { 'X-Forwarded-Proto': 'https', 'X-Forwarded-Host': 'app.example.com' }

  test.each<[string, Headers, number]>([
    ['the forwarded origin', { ...forwarded, Origin: 'https://app.example.com' }, 101],
    ['the origin of the hop behind it', { ...forwarded, Origin: OWN }, 403],
    ['the scheme alone', { 'X-Forwarded-Proto': 'https', Origin: `https://${HOST}` }, 101],
    [
      'what the client had put there before',
      { ...forwarded, 'X-Forwarded-Host': 'evil.example, app.example.com', Origin: 'https://evil.example' },
      403,
    ],
  ])('%s', async (_name, headers, status) => {
    expect(await statusOf({ trustProxy: true }, headers)).toBe(status)
  })
})

test('the refusal says what would be right, and repeats nothing unprintable', async () => {
  const { port } = await serve()
  const { answer } = await RawClient.open(port, { Origin: 'http://evil.example\u00e9' })
  expect(answer.status).toBe(403)
  expect(answer.body).toContain('option `origins`')
  expect(answer.body).toMatch(/^[\x20-\x7e\n]*$/)
  expect(answer.headers['connection']).toBe('close')
})
