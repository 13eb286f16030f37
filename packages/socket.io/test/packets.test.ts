import type { EncodedFrame } from '@rtapi/core'
import * as fc from 'fast-check'
import { Server } from 'socket.io'
import { expect, test } from 'vitest'
import { FrameWriter, type PacketChain, webSocketFrame } from '../src/packets.ts'

const io = new Server()
const main = new FrameWriter(io.of('/'))

/** Takes unmasked, unfragmented frames apart by the words of RFC 6455, 5.2. */
function readFrames(bytes: Buffer): { opcode: number; payload: Buffer }[] {
  const frames = []
  for (let at = 0; at < bytes.length;) {
    const short = bytes.readUInt8(at + 1)
    const [start, length] =
      short < 126
        ? [2, short]
        : short === 126
          ? [4, bytes.readUInt16BE(at + 2)]
          : [10, Number(bytes.readBigUInt64BE(at + 2))]
    // Lengths are written in the shortest form.
    expect(short).toBe(length < 126 ? length : length < 65_536 ? 126 : 127)
    frames.push({ opcode: bytes.readUInt8(at), payload: bytes.subarray(at + start, at + start + length) })
    at += start + length
  }
  return frames
}

const bytesOf = (chain: PacketChain): Buffer => chain.forWebSocket().wsPreEncodedFrame?.[0] ?? expect.fail()
const textsOf = (chain: PacketChain): string[] => readFrames(bytesOf(chain)).map(({ payload }) => payload.toString())

test.each([0, 1, 125, 126, 127, 65_535, 65_536, 1_048_576])('frames %i bytes', (length) => {
  const bytes = Buffer.alloc(length, 7)
  expect(readFrames(webSocketFrame(bytes))).toEqual([{ opcode: 0x82, payload: bytes }])
  expect(readFrames(webSocketFrame('x'.repeat(length)))).toEqual([{ opcode: 0x81, payload: Buffer.alloc(length, 'x') }])
})

test('the length of text is that of its UTF-8', () => {
  expect(readFrames(webSocketFrame('κ'.repeat(70)))[0]?.payload.toString()).toBe('κ'.repeat(70))
})

test('a frame is one event, written as socket.io writes it', () => {
  const chain = main.chainOf({ data: '{"type":"pong"}' })
  expect(textsOf(chain)).toEqual([String.raw`42["rtapi","{\"type\":\"pong\"}"]`])
  expect(chain.forPolling()).toBe(String.raw`2["rtapi","{\"type\":\"pong\"}"]`)
  expect(textsOf(new FrameWriter(io.of('/rt')).chainOf({ data: 'a' }))).toEqual(['42/rt,["rtapi","a"]'])
})

test('bytes follow their event, as bytes to a WebSocket and as base64 to polling', () => {
  const chain = main.chainOf({ data: new Uint8Array([1, 2, 3]).subarray(1) })
  const event = '51-["rtapi",{"_placeholder":true,"num":0}]'
  expect(readFrames(bytesOf(chain))).toEqual([
    { opcode: 0x81, payload: Buffer.from(`4${event}`) },
    { opcode: 0x82, payload: Buffer.from([2, 3]) },
  ])
  expect(chain.forPolling()).toBe(`${event}\u001ebAgM=`)
  expect(chain.append(main.chainOf({ data: 'a' })).forPolling()).toBe(`${event}\u001ebAgM=\u001e42["rtapi","a"]`)
})

test('a packet of another parser that is all bytes goes to a WebSocket, and not by way of polling', () => {
  class Encoder {
    encode = (): Buffer[] => [Buffer.from([7])]
  }
  const other = new Server({ parser: { Encoder, Decoder: Encoder } })
  const chain = new FrameWriter(other.of('/')).chainOf({ data: 'a' })
  expect(readFrames(bytesOf(chain))).toEqual([{ opcode: 0x82, payload: Buffer.from([7]) }])
  expect(chain.forPolling()).toBe('')
})

test('a frame keeps its wire form, also where another transport or namespace has taken its place', () => {
  const own: EncodedFrame = { data: 'a' }
  expect(main.chainOf(own)).toBe(main.chainOf(own))
  const other = new FrameWriter(io.of('/rt'))
  expect(other.chainOf(own)).toBe(other.chainOf(own))
  expect(other.chainOf(own)).not.toBe(main.chainOf(own))
  expect(textsOf(main.chainOf(own))).toEqual(['42["rtapi","a"]'])

  const taken = { data: 'a', wire: 'of somebody else' }
  expect(main.chainOf(taken)).toBe(main.chainOf(taken))
  expect(taken.wire).toBe('of somebody else')
})

test('sockets that got the same frames share one buffer, one text and one options object', () => {
  const [a, b, c] = ['a', 'b', 'c'].map((data) => main.chainOf({ data })) as [PacketChain, PacketChain, PacketChain]
  const one = a.append(b).append(c)
  const two = a.append(b).append(c)
  expect(two.forWebSocket()).toBe(one.forWebSocket())
  expect(two).toBe(one)
})

test('whatever sockets got, in whatever order, each has its own frames', () => {
  const sequences = fc.array(fc.array(fc.nat({ max: 5 }), { minLength: 1, maxLength: 6 }), { maxLength: 12 })
  fc.assert(
    fc.property(sequences, (sockets) => {
      const frames = Array.from({ length: 6 }, (_, i) =>
        main.chainOf({ data: i % 3 === 0 ? Buffer.from(`bytes ${i}`) : `text ${i}` }),
      )
      const at = (i: number): PacketChain => frames[i] ?? expect.fail()
      // Frame by frame over all sockets, as a fan-out does it.
      const chains: PacketChain[] = sockets.map(([first = 0]) => at(first))
      for (let step = 1; step < 6; step++) {
        sockets.forEach((sequence, i) => {
          const next = sequence[step]
          const chain = chains[i]
          if (next !== undefined && chain !== undefined) chains[i] = chain.append(at(next))
        })
      }
      sockets.forEach((sequence, i) => {
        const chain = chains[i] ?? expect.fail()
        const expected = Buffer.concat(sequence.map((index) => bytesOf(at(index))))
        expect(chain.byteLength).toBe(expected.length)
        expect(bytesOf(chain)).toEqual(expected)
        expect(chain.forPolling()).toBe(sequence.map((index) => at(index).forPolling()).join('\u001e4'))
        expect(chain.toPackets()).toEqual(sequence.map((index) => at(index).packet))
      })
    }),
  )
})
