import type { SeededRandom } from '@rtapi/testing'

/** A frame, with the value it stands for or, if it must be refused, why. */
export interface RandomFrame {
  readonly bytes: Uint8Array
  readonly value: unknown
  readonly invalid?: string
}

const ascii = (text: string): readonly number[] => [...Buffer.from(text)]

/** Things that look like MessagePack and that a frame must not hold. */
const bad: Readonly<Record<string, readonly number[]>> = {
  timestamp: [0xd6, 0xff, 0, 0, 0, 1],
  'long timestamp': [0xc7, 12, 0xff, ...Array<number>(12).fill(0)],
  extension: [0xd4, 1, 2],
  binary: [0xc4, 2, 1, 2],
  'empty binary': [0xc6, 0, 0, 0, 0],
  reserved: [0xc1],
  NaN: [0xca, 0x7f, 0xc0, 0, 0],
  infinity: [0xcb, 0xff, 0xf0, 0, 0, 0, 0, 0, 0],
  'large uint64': [0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
  'small int64': [0xd3, 0x80, 0, 0, 0, 0, 0, 0, 0],
  'number as a key': [0x81, 1, 1],
  'array as a key': [0x81, 0x90, 1],
  'binary as a key': [0x81, 0xc4, 1, 0x61, 1],
  'broken UTF-8': [0xa2, 0xc3, 0x28],
  'broken UTF-8 in a long text': [0xd9, 40, ...Array<number>(39).fill(0x61), 0xff],
  'broken UTF-8 in a key': [0x81, 0xa1, 0xff, 1],
  'overlong UTF-8': [0xa2, 0xc1, 0x81],
  'lone surrogate': [0xa3, 0xed, 0xa0, 0x80],
  'beyond Unicode': [0xa4, 0xf4, 0x90, 0x80, 0x80],
  'announced array': [0xdd, 0xee, 0x6b, 0x28, 0],
  'announced map': [0xdf, 0xff, 0xff, 0xff, 0xff],
  'announced text': [0xdb, 0xff, 0xff, 0xff, 0xff],
  'too many levels': Array<number>(300).fill(0x91),
}

export const invalidKinds: readonly string[] = [...Object.keys(bad), 'cut short', 'something after it']

/** Builds a frame from the grammar, in any of the forms that a value may have; every fourth one is to be refused. */
export function randomMessagePack(random: SeededRandom): RandomFrame {
  const invalid = random.chance(0.25) ? random.pick(invalidKinds) : undefined
  const { bytes, value } = node(random, 0, invalid === undefined ? undefined : bad[invalid])
  if (invalid === undefined) return { bytes: Uint8Array.from(bytes), value }
  if (invalid === 'something after it')
    return { bytes: Uint8Array.from([...bytes, random.integer(256)]), value, invalid }
  const length = invalid === 'cut short' ? random.integer(bytes.length) : bytes.length
  return { bytes: Uint8Array.from(bytes.slice(0, length)), value, invalid }
}

interface Built {
  readonly bytes: readonly number[]
  readonly value: unknown
}

/** With `planted`, one place of the value holds these bytes instead. */
function node(random: SeededRandom, depth: number, planted: readonly number[] | undefined): Built {
  if (planted !== undefined && (depth > 3 || random.chance(0.4))) return { bytes: planted, value: undefined }
  const kind = planted === undefined ? random.integer(depth > 3 ? 4 : 6) : 4 + random.integer(2)
  if (kind === 4) return array(random, depth, planted)
  if (kind === 5) return map(random, depth, planted)
  if (kind === 0) return random.pick(constants)
  return kind === 1 ? integer(random) : kind === 2 ? float(random) : text(random)
}

const constants: readonly Built[] = [
  { bytes: [0xc0], value: null },
  { bytes: [0xc2], value: false },
  { bytes: [0xc3], value: true },
]

function integer(random: SeededRandom): Built {
  const value = Math.floor((random.next() - 0.5) * 2 ** (1 + random.integer(53)))
  const buffer = Buffer.alloc(9)
  const forms: readonly (readonly [number, number, number, () => void])[] = [
    [0, 127, 1, () => void buffer.writeUInt8(value)],
    [-32, -1, 1, () => void buffer.writeInt8(value)],
    [0, 255, 2, () => void buffer.writeUInt8(value, head(0xcc))],
    [0, 65_535, 3, () => void buffer.writeUInt16BE(value, head(0xcd))],
    [0, 2 ** 32 - 1, 5, () => void buffer.writeUInt32BE(value, head(0xce))],
    [0, 2 ** 53, 9, () => void buffer.writeBigUInt64BE(BigInt(value), head(0xcf))],
    [-128, 127, 2, () => void buffer.writeInt8(value, head(0xd0))],
    [-32_768, 32_767, 3, () => void buffer.writeInt16BE(value, head(0xd1))],
    [-(2 ** 31), 2 ** 31 - 1, 5, () => void buffer.writeInt32BE(value, head(0xd2))],
    [-(2 ** 53), 2 ** 53, 9, () => void buffer.writeBigInt64BE(BigInt(value), head(0xd3))],
  ]
  function head(byte: number): number {
    return buffer.writeUInt8(byte)
  }
  const [, , length, write] = random.pick(forms.filter(([least, most]) => value >= least && value <= most))
  write()
  return { bytes: [...buffer.subarray(0, length)], value }
}

function float(random: SeededRandom): Built {
  const buffer = Buffer.alloc(9)
  if (random.chance(0.3)) {
    const value = Math.fround(random.next() * 1e9)
    buffer.writeFloatBE(value, buffer.writeUInt8(0xca))
    return { bytes: [...buffer.subarray(0, 5)], value }
  }
  const value = (random.next() - 0.5) * 10 ** (random.integer(600) - 300)
  buffer.writeDoubleBE(value, buffer.writeUInt8(0xcb))
  return { bytes: [...buffer], value }
}

function text(random: SeededRandom): Built {
  const length = random.chance(0.05) ? 300 : random.pick([0, 1, 5, 24, 25, 31, 32, 70])
  let value = ''
  for (let i = 0; i < length; i++) value += random.chance(0.9) ? random.pick(narrow) : random.pick(wide)
  const bytes = ascii(value)
  return { bytes: [...lengthHead(random, bytes.length, 0xa0, 32, [0xd9, 0xda, 0xdb]), ...bytes], value }
}

const narrow = ['a', 'b', 'c', 'x', 'y', 'z', '_', ' ', '0', '9'] as const
const wide = ['ä', '€', '😀', '\u0000', '\uFEFF', '"', '\\', '\u2028'] as const

function array(random: SeededRandom, depth: number, planted: readonly number[] | undefined): Built {
  const size = random.chance(0.03) ? 17 : random.integer(4)
  const items = Array.from({ length: Math.max(size, planted === undefined ? 0 : 1) }, (_, i) =>
    node(random, depth + 1, i === 0 ? planted : undefined),
  )
  const head = lengthHead(random, items.length, 0x90, 16, [undefined, 0xdc, 0xdd])
  return { bytes: [...head, ...items.flatMap(({ bytes }) => bytes)], value: items.map(({ value }) => value) }
}

function map(random: SeededRandom, depth: number, planted: readonly number[] | undefined): Built {
  const size = random.chance(0.03) ? 17 : random.integer(4)
  const members = Array.from({ length: Math.max(size, planted === undefined ? 0 : 1) }, (_, i) => ({
    key: text(random),
    member: node(random, depth + 1, i === 0 ? planted : undefined),
  }))
  const head = lengthHead(random, members.length, 0x80, 16, [undefined, 0xde, 0xdf])
  return {
    bytes: [...head, ...members.flatMap(({ key, member }) => [...key.bytes, ...member.bytes])],
    value: Object.fromEntries(members.map(({ key, member }) => [key.value as string, member.value])),
  }
}

/** One of the heads in which this length can be written: in the type byte itself, or in one, two or four bytes. */
function lengthHead(
  random: SeededRandom,
  length: number,
  fixed: number,
  below: number,
  [one, two, four]: readonly [number | undefined, number, number],
): readonly number[] {
  const forms: (readonly number[])[] = [[four, length >>> 24, (length >> 16) & 255, (length >> 8) & 255, length & 255]]
  if (length < below) forms.push([fixed | length])
  if (one !== undefined && length < 256) forms.push([one, length])
  if (length < 65_536) forms.push([two, length >> 8, length & 255])
  return random.pick(forms)
}
