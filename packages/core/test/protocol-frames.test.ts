import { describe, expect, test } from 'vitest'
import { type RtapiError, parseClientFrame } from '../src/protocol.ts'
import { refusal } from './support/refusal.ts'

const refusedFrame = (frame: unknown): RtapiError => refusal(() => parseClientFrame(frame))

describe('a frame', () => {
  const ping = { type: 'ping' }
  const asked = (id: string): object => ({ type: 'request', id, resource: 'comments', action: 'list' })
  const withData = (data: unknown): object => ({ type: 'request', id: 'a', resource: 'b', action: 'c', data })

  /** An object in an object …, so many levels of objects above a value. */
  function nested(levels: number, kind: 'object' | 'array'): unknown {
    let value: unknown = 1
    for (let i = 0; i < levels; i++) value = kind === 'object' ? { a: value } : [value]
    return value
  }

  test('is a message or a batch of them', () => {
    expect(parseClientFrame(ping)).toEqual([ping])
    expect(parseClientFrame([ping, asked('a')])).toEqual([ping, asked('a')])
    expect(parseClientFrame([])).toEqual([])
  })

  test('one broken message does not take the others of its batch with it', () => {
    const parsed = parseClientFrame([
      asked('a'),
      { type: 'subscribe', id: 'b', resource: 'comments', were: {} },
      { type: 'request', id: 'not an id', resource: 'comments', action: 'list' },
      'ping',
      { type: 'request', id: 'c', resource: 'comments' },
      asked('d'),
    ])
    expect(parsed.map((message) => ('id' in message ? [message.type, message.id] : [message.type]))).toEqual([
      ['request', 'a'],
      ['broken', 'b'],
      ['broken', undefined],
      ['broken', undefined],
      ['broken', 'c'],
      ['request', 'd'],
    ])
    expect(
      parsed.flatMap((message) => (message.type === 'broken' ? [[message.of, message.error.message]] : [])),
    ).toEqual([
      ['subscribe', expect.stringMatching("^unknown field 'were' in a subscribe message; it may hold ")],
      ['other', "'id' in a request message: expected 1 to 64 of A-Z a-z 0-9 _ -"],
      ['other', 'a message is an object with a `type`'],
      ['other', "a request message needs 'action': an action name"],
    ])
  })

  test('holds a hundred messages', () => {
    expect(parseClientFrame(Array.from({ length: 100 }, () => ping))).toHaveLength(100)
    expect(refusedFrame(Array.from({ length: 101 }, () => ping))).toMatchObject({
      code: 'limit_exceeded',
      message: 'a frame holds at most 100 messages',
    })
  })

  test.each(['object', 'array'] as const)('is at most 16 levels deep, of kind %s', (kind) => {
    // The message is the first level, the value at the bottom the last.
    expect(parseClientFrame(withData(nested(14, kind)))).toHaveLength(1)
    expect(parseClientFrame([withData(nested(14, kind))]), 'a batch is not a level').toHaveLength(1)
    for (const frame of [withData(nested(15, kind)), [withData(nested(15, kind))]]) {
      expect(refusedFrame(frame)).toMatchObject({ code: 'bad_request', message: 'nested deeper than 16 levels' })
    }
  })

  test.each([
    ['arrays', '['.repeat(30_000) + ']'.repeat(30_000)],
    ['objects', '{"a":'.repeat(10_000) + '1' + '}'.repeat(10_000)],
  ])('of thousands of nested %s is refused without a stack overflow', (_, json) => {
    const frame: unknown = JSON.parse(`{"type":"request","id":"a","resource":"b","action":"c","data":${json}}`)
    expect(refusedFrame(frame).message).toBe('nested deeper than 16 levels')
    expect(refusedFrame(JSON.parse(json)).message).toBe('nested deeper than 16 levels')
  })

  test.each(['__proto__', 'constructor', 'prototype'])('holds no key %s at any depth', (key) => {
    const data = (inside: string): unknown =>
      JSON.parse(`{"type":"request","id":"a","resource":"b","action":"c","data":${inside}}`)
    for (const inside of [`{"${key}":{"admin":true}}`, `[{"a":{"${key}":1}}]`, `{"a":[[{"b":{"${key}":null}}]]}`]) {
      expect(refusedFrame(data(inside))).toMatchObject({
        code: 'bad_request',
        message: `the key '${key}' is not allowed`,
      })
      expect(refusedFrame([ping, data(inside)]).message).toBe(`the key '${key}' is not allowed`)
    }
    expect(refusedFrame(JSON.parse(`{"${key}":1,"type":"ping"}`)).message).toBe(`the key '${key}' is not allowed`)
    expect(parseClientFrame(data(`{"text":"${key}"}`)), 'as a value it is only a text').toHaveLength(1)
  })

  test.each<[string, (count: number) => unknown, number, string]>([
    // The message itself and its five other fields are values too.
    [
      'values',
      (count) => withData(Array.from({ length: count - 6 }, () => 0)),
      10_000,
      'a frame holds at most 10000 values',
    ],
    [
      'keys of an object',
      (count) => withData(Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, i]))),
      256,
      'an object holds at most 256 keys',
    ],
    [
      'characters of a string',
      (count) => withData('x'.repeat(count)),
      32_768,
      'a string holds at most 32768 characters',
    ],
    [
      'characters of a key',
      (count) => withData({ ['x'.repeat(count)]: 1 }),
      32_768,
      'a string holds at most 32768 characters',
    ],
  ])('is bounded in %s', (_, make, limit, message) => {
    expect(parseClientFrame(make(limit)).map(({ type }) => type)).toEqual(['request'])
    expect(refusedFrame(make(limit + 1))).toMatchObject({ code: 'limit_exceeded', message })
  })
})
