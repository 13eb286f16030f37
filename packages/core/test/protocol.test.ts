import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  type ClientMessage,
  type Limits,
  RtapiError,
  closeCodes,
  comesBack,
  defaultLimits,
  errorCodes,
  isKey,
  parseClientFrame,
  parseClientMessage,
  printable,
  subprotocol,
} from '../src/protocol.ts'
import { refusal } from './support/refusal.ts'

type Fields = Readonly<Record<string, unknown>>

const refusedMessage = (message: unknown): RtapiError => refusal(() => parseClientMessage(message))

/** What is wrong with a frame, or with the first broken message in it. */
function answerTo(frame: unknown, limits: Limits): string {
  try {
    for (const parsed of parseClientFrame(frame, limits)) if (parsed.type === 'broken') return parsed.error.message
    return 'nothing'
  } catch (error) {
    if (error instanceof RtapiError) return error.message
    throw error
  }
}

/** Of each type of message the least, and the most, that it may hold. */
const messages: Record<ClientMessage['type'], { least: Fields; most: Fields }> = {
  hello: {
    least: { versions: [] },
    most: { versions: [1, 2], token: 'secret', client: { name: 'app', version: '1.2.3' } },
  },
  auth: { least: { id: 'a', token: null }, most: { id: 'a', token: 'secret' } },
  request: {
    least: { id: 'a', resource: 'comments', action: 'list' },
    most: {
      id: 'a',
      resource: 'comments',
      action: 'approve',
      key: ['x', 1],
      params: { topicId: 5 },
      where: { topicId: 5 },
      order: [['createdAt', 'desc']],
      limit: 50,
      fields: ['id', 'text'],
      after: 'cursor',
      data: { text: 'hi', tags: [null, 1.5, true] },
      ifVersion: 3,
      idempotencyKey: 'once',
    },
  },
  subscribe: {
    least: { id: 'a', resource: 'comments' },
    most: {
      id: 'a',
      resource: 'comments',
      key: 7,
      params: {},
      where: {},
      order: [],
      limit: 1,
      fields: [],
      rows: false,
      since: 'position',
      have: [1, 'a', ['b', 2]],
    },
  },
  unsubscribe: { least: { id: 'a' }, most: { id: 'a' } },
  ping: { least: {}, most: {} },
  pong: { least: {}, most: {} },
}
const kinds = Object.entries(messages).map(([type, shape]) => ({ type, ...shape }))

describe.each(kinds)('a $type message', ({ type, least, most }) => {
  test('is read with the least and with the most that it may hold', () => {
    expect(parseClientMessage({ type, ...least })).toEqual({ type, ...least })
    expect(parseClientMessage({ type, ...most })).toEqual({ type, ...most })
  })

  test('needs each of the least', () => {
    for (const name of Object.keys(least)) {
      const { [name]: _, ...rest } = least
      const { code, message } = refusedMessage({ type, ...rest })
      expect(code).toBe('bad_request')
      expect(message).toMatch(`a ${type} message needs '${name}': `)
    }
  })

  test('holds nothing else: a typo must not widen a query', () => {
    for (const name of ['were', 'Where', 'types', 'toString', '']) {
      const { code, message } = refusedMessage({ type, ...most, [name]: {} })
      expect(code).toBe('bad_request')
      expect(message).toMatch(`unknown field '${name}' in a ${type} message`)
    }
  })

  test('refuses null and foreign types in each field', () => {
    for (const name of Object.keys(most)) {
      if (name === 'data' || (type === 'auth' && name === 'token')) continue
      for (const value of [null, [[[]]], Symbol('x'), () => 1, name === 'rows' ? 0 : true]) {
        const { code, message } = refusedMessage({ type, ...most, [name]: value })
        expect(code).toBe('bad_request')
        expect(message).toMatch(`'${name}' in a ${type} message: expected `)
      }
    }
  })
})

describe('a field is read at its limit and refused above', () => {
  const many = (count: number, value: unknown = 'x'): unknown[] => Array.from({ length: count }, () => value)
  const request = messages.request.least
  const subscribe = messages.subscribe.least
  const { have, objectKeys, sortFields } = defaultLimits

  test.each<[string, string, Fields, unknown, unknown]>([
    ['request', 'id', request, 'x'.repeat(64), 'x'.repeat(65)],
    ['request', 'id', request, 'A-z_09', 'a b'],
    ['request', 'id', request, 'a', ''],
    ['request', 'id', request, 'a', 'a\n'],
    ['request', 'id', request, '1', 1],
    ['request', 'resource', request, `a${'x'.repeat(63)}`, 'x'.repeat(65)],
    ['request', 'resource', request, 'a1-_', '1a'],
    ['request', 'action', request, 'a'.repeat(64), 'a'.repeat(65)],
    ['request', 'action', request, 'list', '__proto__'],
    ['request', 'key', request, 'x'.repeat(256), 'x'.repeat(257)],
    ['request', 'key', request, Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER + 1],
    ['request', 'key', request, many(8), many(9)],
    ['request', 'key', request, ['a'], []],
    ['request', 'key', request, ['a', 1], ['a', ['b']]],
    ['request', 'key', request, '😀', '\ud83d'],
    ['request', 'key', request, 'a', 'a\0'],
    ['request', 'key', request, 1.5, Number.POSITIVE_INFINITY],
    ['request', 'order', request, many(sortFields, ['a', 'asc']), many(sortFields + 1, ['a', 'asc'])],
    ['request', 'order', request, [['x'.repeat(64), 'desc']], [['x'.repeat(65), 'desc']]],
    ['request', 'order', request, [['a', 'asc']], [['a', 'ASC']]],
    ['request', 'order', request, [['a', 'asc']], [['a', 'asc nulls first']]],
    ['request', 'order', request, [['a', 'asc']], [['a', 'asc', 'integer']]],
    ['request', 'order', request, [['a', 'asc']], [['a']]],
    ['request', 'order', request, [['a', 'asc']], [{ 0: 'a', 1: 'asc', length: 2 }]],
    ['request', 'limit', request, 1, 0],
    ['request', 'limit', request, Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER + 1],
    ['request', 'limit', request, 10, 10.5],
    ['request', 'fields', request, many(objectKeys), many(objectKeys + 1)],
    ['request', 'fields', request, ['x'.repeat(64)], ['x'.repeat(65)]],
    ['request', 'where', request, {}, []],
    ['request', 'params', request, {}, 'topicId=5'],
    ['request', 'after', request, 'x'.repeat(4_096), 'x'.repeat(4_097)],
    ['request', 'ifVersion', request, 'x'.repeat(64), 'x'.repeat(65)],
    ['request', 'ifVersion', request, 7, 7.5],
    ['request', 'idempotencyKey', request, 'x'.repeat(64), 'x'.repeat(65)],
    ['subscribe', 'since', subscribe, 'x'.repeat(1_024), 'x'.repeat(1_025)],
    ['subscribe', 'have', subscribe, many(have), many(have + 1)],
    ['subscribe', 'have', subscribe, [1, ['a', 2]], [1, [{}]]],
    ['subscribe', 'rows', subscribe, true, 'true'],
    ['hello', 'versions', {}, many(16, 1), many(17, 1)],
    ['hello', 'versions', {}, [1], [1.5]],
    ['hello', 'token', { versions: [1] }, 'x'.repeat(8_192), 'x'.repeat(8_193)],
    [
      'hello',
      'client',
      { versions: [1] },
      { name: 'x'.repeat(64), version: '1' },
      { name: 'x'.repeat(65), version: '1' },
    ],
    ['hello', 'client', { versions: [1] }, { name: 'a', version: '1' }, { name: 'a' }],
    ['hello', 'client', { versions: [1] }, { name: 'a', version: '1' }, { name: 'a', version: '1', os: 'x' }],
    ['auth', 'token', { id: 'a' }, 'x'.repeat(8_192), 'x'.repeat(8_193)],
  ])('%s %s (%#)', (type, name, rest, within, beyond) => {
    expect(parseClientMessage({ type, ...rest, [name]: within })).toEqual({ type, ...rest, [name]: within })
    const { code, message } = refusedMessage({ type, ...rest, [name]: beyond })
    expect(code).toBe('bad_request')
    expect(message).toMatch(`'${name}' in a ${type} message: expected `)
  })

  test.each<[Partial<Limits>, unknown, string]>([
    [{ sortFields: 0 }, { type: 'request', ...request, order: [['a', 'asc']] }, "'order' in a request message"],
    [{ have: 1 }, { type: 'subscribe', ...subscribe, have: [1, 2] }, "'have' in a subscribe message"],
    [{ objectKeys: 3 }, { type: 'subscribe', id: 'a', resource: 'b', rows: true }, 'at most 3 keys'],
    [{ batch: 1 }, [{ type: 'ping' }, { type: 'ping' }], 'at most 1 messages'],
    [{ depth: 3 }, { type: 'request', ...request, data: { a: { b: 1 } } }, 'deeper than 3 levels'],
    [{ nodes: 3 }, { type: 'request', ...request }, 'at most 3 values'],
    [{ string: 7 }, { type: 'requests' }, 'at most 7 characters'],
  ])('%j can be set', (changed, frame, message) => {
    expect(answerTo(frame, defaultLimits)).not.toMatch(message)
    expect(answerTo(frame, { ...defaultLimits, ...changed })).toMatch(message)
  })
})

describe('what is no message', () => {
  test.each([undefined, null, 1, 'ping', true, [], [{}]])('%j', (message) => {
    expect(refusedMessage(message).message).toBe('a message is an object with a `type`')
  })

  test.each([
    undefined,
    null,
    1,
    '',
    'PING',
    'welcome',
    'reply',
    'toString',
    'constructor',
    ['ping'],
    { type: 'ping' },
  ])('the type %j', (type) => {
    expect(refusedMessage({ type })).toMatchObject({
      code: 'bad_request',
      message: 'unknown message type; expected one of hello, auth, request, subscribe, unsubscribe, ping, pong',
    })
  })

  test('an answer never echoes what is long or not plain', () => {
    expect(refusedMessage({ type: 'ping', ['\u001b[31m\n']: 1 }).message).toMatch("unknown field '?[31m?' in")
    expect(refusedMessage({ type: 'ping', ['x'.repeat(10_000)]: 1 }).message.length).toBeLessThan(200)
    expect(printable('a\r\nb\u{202e}é\u007f')).toBe('a??b???')
    expect(printable('x'.repeat(65))).toBe('x'.repeat(64))
  })

  test('whatever it is, reading it ends in a message or an RtapiError', () => {
    const field = fc.constantFrom(
      'type',
      'id',
      'resource',
      'action',
      'where',
      'order',
      'key',
      'have',
      'token',
      'versions',
      '__proto__',
    )
    const type = fc.constantFrom(...Object.keys(messages), 'nonsense')
    const message = fc
      .tuple(type, fc.dictionary(field, fc.jsonValue({ maxDepth: 3 })))
      .map(([type, fields]): unknown => ({ type, ...fields }))
    fc.assert(
      fc.property(fc.oneof(message, fc.array(message), fc.jsonValue()), (frame) => {
        try {
          const parsed = parseClientFrame(frame)
          expect(parsed).toHaveLength(Array.isArray(frame) ? frame.length : 1)
        } catch (error) {
          expect(error).toBeInstanceOf(RtapiError)
        }
      }),
      { numRuns: 500 },
    )
  })
})

test('isKey takes strings, numbers and arrays of them', () => {
  for (const key of ['', 'a', 0, -1, 1.5, ['a'], ['a', 1]]) expect(isKey(key)).toBe(true)
  for (const key of [null, undefined, true, {}, [], [[]], [null], Number.NaN, 2 ** 53, '\0', new Date(0)]) {
    expect(isKey(key)).toBe(false)
  }
})

describe('errors', () => {
  test('the table: status and whether to try again', () => {
    const table = Object.entries(errorCodes).map(([code, { status, retryable }]) => `${code} ${status} ${retryable}`)
    expect(table).toEqual([
      'bad_request 400 false',
      'unauthenticated 401 false',
      'forbidden 403 false',
      'not_found 404 false',
      'invalid 422 false',
      'conflict 409 false',
      'unsupported 405 false',
      'limit_exceeded 413 false',
      'rate_limited 429 true',
      'timeout 504 true',
      'unavailable 503 true',
      'internal 500 true',
    ])
    for (const { meaning } of Object.values(errorCodes)) expect(meaning).toMatch(/^[A-Z].*\.$/)
  })

  test('travel without their cause and stack', () => {
    const cause = new Error('SELECT secret')
    const error = new RtapiError('rate_limited', 'slow down', {
      cause,
      retryAfter: 250,
      details: [{ path: ['a', 0], message: 'no' }],
    })
    expect(error.cause).toBe(cause)
    expect(error.name).toBe('RtapiError')
    expect(JSON.parse(JSON.stringify(error.toWire()))).toStrictEqual({
      code: 'rate_limited',
      message: 'slow down',
      retryable: true,
      retryAfter: 250,
      details: [{ path: ['a', 0], message: 'no' }],
    })
    expect(new RtapiError('not_found', 'gone').toWire()).toStrictEqual({
      code: 'not_found',
      message: 'gone',
      retryable: false,
    })
  })
})

test('close codes tell by their range whether to come back', () => {
  const back = Object.entries(closeCodes).map(([name, code]) => `${name} ${code} ${comesBack(code)}`)
  expect(back).toEqual([
    'badFrame 4400 false',
    'unauthenticated 4401 false',
    'forbidden 4403 false',
    'version 4406 false',
    'helloTimeout 4408 false',
    'tooBig 4413 false',
    'abuse 4429 false',
    'revoked 4440 false',
    'slowConsumer 4450 true',
    'sessionChanged 4451 true',
    'draining 4452 true',
    'layerGap 4453 true',
    'heartbeat 4454 true',
    'internal 4500 true',
  ])
  expect([1000, 1001, 1006, 1011, 4399, 4450].every(comesBack)).toBe(true)
  expect([4400, 4449].some(comesBack)).toBe(false)
})

test('a subprotocol names the version and the codec', () => {
  expect(subprotocol('json')).toBe('rtapi.v1.json')
})
