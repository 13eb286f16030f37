import type { ClientMessage } from '@rtapi/core/protocol'
import { defaultLimits, parseClientFrame } from '@rtapi/core/protocol'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodeFrame, encodeFrames, frameBytes } from '../src/frames.ts'

test('messages go in order, one alone as itself, and no shared frame passes a limit of the server', () => {
  const message = fc.oneof(
    fc.nat(400).map((count): ClientMessage => {
      const have = Array.from({ length: count }, (_, at) => [at, at % 7])
      return { type: 'subscribe', id: 'a', resource: 'r', since: 'p', have }
    }),
    fc.tuple(fc.constantFrom('a', 'é', '漢', '😀', '"'), fc.nat(8_000)).map(([letter, count]): ClientMessage => {
      return { type: 'request', id: 'a', resource: 'r', action: 'create', data: letter.repeat(count) }
    }),
    fc.constant<ClientMessage>({ type: 'pong' }),
  )
  fc.assert(
    fc.property(fc.array(message, { size: 'max', maxLength: 120 }), (messages) => {
      const frames = encodeFrames(messages, defaultLimits.frame)
      const bytes = frames.map((frame) => new TextEncoder().encode(frame).length)
      expect(Math.max(0, ...bytes)).toBeLessThanOrEqual(defaultLimits.frame)
      expect(frames.flatMap((frame) => parseClientFrame(JSON.parse(frame)))).toEqual(messages)
    }),
    { numRuns: 20 },
  )
  expect(encodeFrames([{ type: 'ping' }], 100)).toEqual(['{"type":"ping"}'])
  expect(encodeFrames([], 100)).toEqual([])
})

test('frames are few: what fits goes together', () => {
  const pings = Array.from({ length: 250 }, (): ClientMessage => ({ type: 'ping' }))
  expect(encodeFrames(pings, defaultLimits.frame).map((frame) => (JSON.parse(frame) as unknown[]).length)).toEqual([
    100, 100, 50,
  ])
  expect(encodeFrames(pings, 600).length).toBeGreaterThan(3)
})

test('bytes are counted as they travel', () => {
  expect(frameBytes({ type: 'unsubscribe', id: 'a' })).toBe(31)
  expect(frameBytes({ type: 'auth', id: 'a', token: 'é' })).toBe(frameBytes({ type: 'auth', id: 'a', token: 'e' }) + 1)
})

test('what has no type is no message; what is no JSON is an error', () => {
  expect(decodeFrame('{"type":"ping"}')).toEqual([{ type: 'ping' }])
  expect(decodeFrame('[{"type":"ping"},null,5,[],{"type":7},{"type":"new"}]')).toEqual([
    { type: 'ping' },
    { type: 'new' },
  ])
  expect(decodeFrame('null')).toEqual([])
  expect(() => decodeFrame('{')).toThrow(SyntaxError)
})
