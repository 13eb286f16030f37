import { isDeepStrictEqual } from 'node:util'
import { decode as usualDecode, encode as usualEncode } from '@msgpack/msgpack'
import { seededRandom } from '@rtapi/testing'
import { expect, test } from 'vitest'
import { readMessagePack } from '../src/read-message-pack.ts'
import { invalidKinds, randomMessagePack } from './support/random-message-pack.ts'

test.each([
  ['7f', 127],
  ['e0', -32],
  ['cc00', 0],
  ['ccff', 255],
  ['cdffff', 65_535],
  ['ceffffffff', 4_294_967_295],
  ['cf001fffffffffffff', Number.MAX_SAFE_INTEGER],
  ['d080', -128],
  ['d18000', -32_768],
  ['d280000000', -2_147_483_648],
  ['d3ffe0000000000001', Number.MIN_SAFE_INTEGER],
  ['d3ffffffffffffffff', -1],
  ['ca3fc00000', 1.5],
  ['cb8000000000000000', -0],
  ['cb7fefffffffffffff', Number.MAX_VALUE],
  ['a0', ''],
  ['d90161', 'a'],
  ['da0002c3a4', 'ä'],
  ['db00000004f09f9880', '😀'],
  ['dc0001c0', [null]],
  ['dd00000002c2c3', [false, true]],
  ['80', {}],
  ['de0001d9016101', { a: 1 }],
  ['df00000001a1610190'.slice(0, 16), { a: 1 }],
  ['82a16101a16102', { a: 2 }],
])('%s is read', (hex, value) => {
  expect(readMessagePack(Buffer.from(hex, 'hex'))).toEqual(value)
})

test('what is read does not share memory with the frame', () => {
  const frame = Buffer.from('81a16182a16201a163a3616263', 'hex')
  const value = readMessagePack(frame)
  frame.fill(0xff)
  expect(value).toEqual({ a: { b: 1, c: 'abc' } })
})

const CASES = 7_000
const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

test.each([11, 12, 13])('what the grammar allows is read as others read it, the rest is refused (seed %i)', (seed) => {
  const random = seededRandom(seed)
  const refused = new Set<string>()
  const wrong: unknown[] = []
  for (let i = 0; i < CASES; i++) {
    const { bytes, value, invalid } = randomMessagePack(random)
    const read = tryRead(bytes)
    if (invalid !== undefined) {
      if (read !== undefined) wrong.push({ invalid, frame: hexOf(bytes) })
      refused.add(invalid)
    } else {
      // The usual decoder drops a byte order mark.
      const others = Buffer.from(bytes).includes('\uFEFF') ? value : usualDecode(bytes)
      if (!isDeepStrictEqual([read?.value, others], [value, value])) wrong.push({ value, frame: hexOf(bytes) })
    }
  }
  expect(wrong).toEqual([])
  expect([...refused].toSorted()).toEqual(invalidKinds.toSorted())
})

test.each([21, 22, 23])('broken frames are refused or mean what others read in them (seed %i)', (seed) => {
  const random = seededRandom(seed)
  const wrong: unknown[] = []
  let taken = 0
  for (let i = 0; i < CASES; i++) {
    const bytes = usualEncode({ type: 'request', id: `r${i}`, where: [i, -i, i / 3, { a: null, ä: 'ö' }] })
    for (let flips = 1 + random.integer(3); flips > 0; flips--)
      bytes[random.integer(bytes.length)] = random.integer(256)
    const read = tryRead(bytes)
    if (read === undefined) continue
    taken++
    const isPlain = isDeepStrictEqual(JSON.parse(JSON.stringify(read.value)), read.value)
    if (!isPlain || !isDeepStrictEqual(usualDecode(bytes), read.value)) wrong.push(hexOf(bytes))
  }
  expect(wrong).toEqual([])
  expect(taken).toBeGreaterThan(CASES / 20)
})

/** What was read, or `undefined` if it was refused. */
function tryRead(bytes: Uint8Array): { readonly value: unknown } | undefined {
  try {
    return { value: readMessagePack(bytes) }
  } catch (error) {
    expect(error).toBeInstanceOf(Error)
    return undefined
  }
}
