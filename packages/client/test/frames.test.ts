import type { ClientMessage } from '@rtapi/core/protocol'
import { defaultLimits, parseClientFrame } from '@rtapi/core/protocol'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type ClientCodec, jsonCodec } from '../src/client-codec.ts'
import { decodeFrame, encodeFrames, frameBytes } from '../src/frames.ts'
import { bytesCodec } from './support/bytes-codec.ts'

const codecs: readonly ClientCodec[] = [jsonCodec, bytesCodec]

describe.each(codecs)('with the codec $name', (codec) => {
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
        const frames = encodeFrames(codec, messages, defaultLimits.frame)
        const bytes = frames.map(
          (frame) => (typeof frame === 'string' ? new TextEncoder().encode(frame) : frame).length,
        )
        expect(Math.max(0, ...bytes)).toBeLessThanOrEqual(defaultLimits.frame)
        expect(frames.flatMap((frame) => parseClientFrame(codec.decode(frame)))).toEqual(messages)
      }),
      { numRuns: 20 },
    )
    expect(encodeFrames(codec, [{ type: 'ping' }], 100)).toEqual([codec.encode({ type: 'ping' })])
    expect(encodeFrames(codec, [], 100)).toEqual([])
  })

  test('frames are few: what fits goes together', () => {
    const pings = Array.from({ length: 250 }, (): ClientMessage => ({ type: 'ping' }))
    const frames = encodeFrames(codec, pings, defaultLimits.frame)
    expect(frames.map((frame) => decodeFrame(codec, frame).length)).toEqual([100, 100, 50])
    expect(encodeFrames(codec, pings, 600).length).toBeGreaterThan(3)
  })

  test('bytes are counted as they travel', () => {
    const count = (token: string): number => frameBytes(codec, { type: 'auth', id: 'a', token })
    expect(frameBytes(codec, { type: 'unsubscribe', id: 'a' })).toBe(31)
    expect(count('é')).toBe(count('e') + 1)
  })

  test('what has no type is no message', () => {
    const mixed = [{ type: 'ping' }, null, 5, [], { type: 7 }, { type: 'new' }]
    expect(decodeFrame(codec, codec.encode({ type: 'ping' }))).toEqual([{ type: 'ping' }])
    expect(decodeFrame(codec, codec.encode(mixed))).toEqual([{ type: 'ping' }, { type: 'new' }])
    expect(decodeFrame(codec, codec.encode(null))).toEqual([])
  })
})

test('what the codec cannot read is an error', () => {
  expect(() => decodeFrame(jsonCodec, '{')).toThrow(SyntaxError)
  expect(() => decodeFrame(bytesCodec, '{}')).toThrow(TypeError)
  expect(decodeFrame(jsonCodec, new TextEncoder().encode('{"type":"ping"}'))).toEqual([{ type: 'ping' }])
})
