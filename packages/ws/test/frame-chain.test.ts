import type { EncodedFrame } from '@rtapi/core'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { type FrameChain, chainOf, frameBytes } from '../src/frame-chain.ts'

const frame = (data: string | Uint8Array): EncodedFrame => ({ data })

/** Takes an unmasked, unfragmented frame apart by the words of RFC 6455, 5.2. */
function readFrame(bytes: Buffer): { opcode: number; payload: Buffer } {
  const short = bytes.readUInt8(1)
  const [start, length] =
    short < 126 ? [2, short] : short === 126 ? [4, bytes.readUInt16BE(2)] : [10, Number(bytes.readBigUInt64BE(2))]
  expect(bytes.length).toBe(start + length)
  // Lengths are written in the shortest form.
  expect(short).toBe(length < 126 ? length : length < 65_536 ? 126 : 127)
  return { opcode: bytes.readUInt8(0), payload: bytes.subarray(start) }
}

test.each([0, 1, 125, 126, 127, 65_535, 65_536, 1_048_576])('frames %i bytes', (length) => {
  const bytes = Buffer.alloc(length, 7)
  expect(readFrame(frameBytes(bytes))).toEqual({ opcode: 0x82, payload: bytes })
  expect(readFrame(frameBytes('x'.repeat(length)))).toEqual({ opcode: 0x81, payload: Buffer.alloc(length, 'x') })
})

test('the length of text is that of its UTF-8', () => {
  expect(readFrame(frameBytes('κ'.repeat(70))).payload.toString()).toBe('κ'.repeat(70))
})

test('a frame keeps its wire form, and leaves the place alone if another transport has taken it', () => {
  const own = frame('a')
  expect(chainOf(own)).toBe(chainOf(own))
  expect(own.wire).toBe(chainOf(own))

  const taken = { data: 'a', wire: 'of somebody else' }
  expect(chainOf(taken)).toBe(chainOf(taken))
  expect(taken.wire).toBe('of somebody else')
})

test('sockets that got the same frames share one buffer', () => {
  const [a, b, c] = [chainOf(frame('a')), chainOf(frame('b')), chainOf(frame('c'))]
  const one = a.append(b).append(c)
  const two = a.append(b).append(c)
  expect(two.toBuffer()).toBe(one.toBuffer())
  expect(a.toBuffer()).toBe(a.toBuffer())
})

test('whatever sockets got, in whatever order, each has its own frames', () => {
  const sequences = fc.array(fc.array(fc.nat({ max: 5 }), { minLength: 1, maxLength: 6 }), { maxLength: 12 })
  fc.assert(
    fc.property(sequences, (sockets) => {
      const frames = Array.from({ length: 6 }, (_, i) => chainOf(frame(`frame ${i}`)))
      const at = (i: number): FrameChain => frames[i] ?? expect.fail()
      // Frame by frame over all sockets, as a fan-out does it.
      const chains: FrameChain[] = sockets.map(([first = 0]) => at(first))
      for (let step = 1; step < 6; step++) {
        sockets.forEach((sequence, i) => {
          const next = sequence[step]
          const chain = chains[i]
          if (next !== undefined && chain !== undefined) chains[i] = chain.append(at(next))
        })
      }
      sockets.forEach((sequence, i) => {
        const expected = Buffer.concat(sequence.map((index) => frameBytes(`frame ${index}`)))
        expect(chains[i]?.byteLength).toBe(expected.length)
        expect(chains[i]?.toBuffer()).toEqual(expected)
      })
    }),
  )
})
