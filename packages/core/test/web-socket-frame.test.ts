import { expect, test } from 'vitest'
import { frameHeaderLength, writeFrameHeader } from '../src/index.ts'

/** The kind, the first length byte, and the length as it says, by the words of RFC 6455, 5.2. */
function readHeader(dataLength: number, isText: boolean): readonly [number, number, bigint] {
  const bytes = Buffer.alloc(frameHeaderLength(dataLength) + 1, 0xee)
  writeFrameHeader(bytes, dataLength, isText)
  expect(bytes.at(-1), 'the data is left alone').toBe(0xee)
  const short = bytes.readUInt8(1)
  const long = short === 126 ? BigInt(bytes.readUInt16BE(2)) : short === 127 ? bytes.readBigUInt64BE(2) : BigInt(short)
  return [bytes.readUInt8(0), short, long]
}

test.each([
  [0, 0],
  [1, 1],
  [125, 125],
  [126, 126],
  [255, 126],
  [256, 126],
  [65_535, 126],
  [65_536, 127],
  [1_048_576, 127],
  [2 ** 32 + 258, 127],
  [Number.MAX_SAFE_INTEGER, 127],
])('the length %i is written in its shortest form', (length, short) => {
  expect(readHeader(length, true)).toEqual([0x81, short, BigInt(length)])
  expect(readHeader(length, false)).toEqual([0x82, short, BigInt(length)])
})
