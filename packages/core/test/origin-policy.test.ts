import { describe, expect, test } from 'vitest'
import {
  type OriginPolicy,
  type RequestSource,
  allowsOrigin,
  assertOrigins,
  forwardedAddress,
  isHost,
  originProblem,
} from '../src/index.ts'

type Headers = Readonly<Record<string, string>>

const HOST = 'app.example:8080'
const OWN = `http://${HOST}`
const same: OriginPolicy = { origins: 'same', trustProxy: false }

function source(headers: Headers, rest: Partial<RequestSource> = {}): RequestSource {
  const all: Headers = { host: HOST, ...headers }
  return { header: (name) => all[name], scheme: 'http', isPlainRead: false, ...rest }
}

function isServed(headers: Headers, policy: OriginPolicy = same, rest: Partial<RequestSource> = {}): boolean {
  return originProblem(source(headers, rest), policy) === undefined
}

describe('by default, pages of the own origin are served, with cookies', () => {
  test.each<[string, Headers, boolean]>([
    ['the own origin', { origin: OWN }, true],
    ['an empty origin', { origin: '' }, false],
    ['a foreign origin', { origin: 'http://evil.example' }, false],
    ['null', { origin: 'null' }, false],
    ['a longer twin', { origin: `${OWN}.evil.example` }, false],
    ['a twin that ends alike', { origin: `http://evil${HOST}` }, false],
    ['the host as a user name', { origin: `http://${HOST}@evil.example` }, false],
    ['another scheme', { origin: `https://${HOST}` }, false],
    ['another port', { origin: 'http://app.example:8081' }, false],
    ['upper case', { origin: OWN.toUpperCase() }, false],
    ['a path behind it', { origin: `${OWN}/` }, false],
    ['two origins', { origin: `${OWN}, ${OWN}` }, false],
    ['the default port spelled out in Host', { host: 'app.example:80', origin: 'http://app.example' }, true],
    ['a Host that is none', { host: 'a@app.example:8080', origin: OWN }, false],
    ['what a proxy says that is not trusted', { origin: 'https://x.example', 'x-forwarded-host': 'x.example' }, false],
  ])('%s', (_name, headers, served) => {
    expect(isServed({ cookie: 'a=1', ...headers })).toBe(served)
  })
})

describe('without Origin', () => {
  const cookie = { cookie: 'session=1' }
  const read = { isPlainRead: true }

  test.each<[string, Headers, Partial<RequestSource>, boolean]>([
    ['a program without cookies', {}, {}, true],
    ['a program with cookies', cookie, {}, false],
    ['a read of the own page', { ...cookie, 'sec-fetch-site': 'same-origin' }, read, true],
    ['a read that the user has typed', { ...cookie, 'sec-fetch-site': 'none' }, read, false],
    ['a read of a foreign page, also without cookies', { 'sec-fetch-site': 'cross-site' }, read, false],
    ['a read of a neighbour page', { ...cookie, 'sec-fetch-site': 'same-site' }, read, false],
    ['a read of the own page without TLS', { ...cookie, referer: `${OWN}/page` }, read, true],
    ['a read of a foreign page without TLS', { ...cookie, referer: 'http://evil.example/' }, read, false],
    ['a referer that is none', { ...cookie, referer: 'null' }, read, false],
    ['a foreign page with a referer of ours', { 'sec-fetch-site': 'cross-site', referer: OWN }, read, false],
    ['what is no read, from the own page', { ...cookie, 'sec-fetch-site': 'same-origin' }, {}, false],
  ])('%s', (_name, headers, rest, served) => {
    expect(isServed(headers, same, rest)).toBe(served)
  })
})

test('listed origins are served, exactly as they are written', () => {
  const policy = { ...same, origins: ['https://app.example.com', 'null'] }
  const ask = (origin: string): boolean => isServed({ origin }, policy)
  expect(['https://app.example.com', 'null', OWN].map(ask)).toEqual([true, true, true])
  expect(['https://app.example.com:443', 'https://app.example.com.evil.example'].map(ask)).toEqual([false, false])
  expect(allowsOrigin('https://app.example.com', source({}), policy)).toBe(true)
})

test("with 'any', nobody is asked", () => {
  const policy: OriginPolicy = { ...same, origins: 'any' }
  expect(isServed({ origin: 'http://evil.example', cookie: 'a=1' }, policy)).toBe(true)
  expect(isServed({ cookie: 'a=1', 'sec-fetch-site': 'cross-site' }, policy)).toBe(true)
})

test("a trusted proxy's last entries say the own origin and the client's address", () => {
  const policy = { ...same, trustProxy: true }
  const forwarded = {
    'x-forwarded-proto': 'https',
    'x-forwarded-host': 'evil.example, app.example.com',
    'x-forwarded-for': '6.6.6.6, 203.0.113.1',
  }
  expect(isServed({ ...forwarded, origin: 'https://app.example.com' }, policy)).toBe(true)
  expect(isServed({ ...forwarded, origin: 'https://evil.example' }, policy)).toBe(false)
  expect(isServed({ ...forwarded, origin: OWN }, policy)).toBe(false)
  expect(forwardedAddress(source(forwarded), policy)).toBe('203.0.113.1')
  expect(forwardedAddress(source(forwarded), same)).toBeUndefined()
})

test('the refusal says what would be right, and repeats nothing unprintable', () => {
  const problem = originProblem(source({ origin: 'http://evil.example\u00e9\n' }), same)
  expect(problem).toContain('option `origins`')
  expect(problem).toMatch(/^[\x20-\x7e]*$/)
})

test.each(['https://app.example.com/', 'https://APP.example.com', 'app.example.com', 'https://a.example:443', '*'])(
  'the option must not hold %s, which no browser sends',
  (origin) => {
    expect(() => assertOrigins({ origins: [origin] })).toThrow(/origins: '/)
  },
)

test('a Host header names a host and perhaps a port', () => {
  expect(['app.example', 'a:1', '[::1]:8080', '127.0.0.1:65535'].every(isHost)).toBe(true)
  expect(['', 'a@b', 'a/b', 'a:123456', 'a b', '[::1', 'a?b'].some(isHost)).toBe(false)
})
