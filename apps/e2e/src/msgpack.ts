/** MessagePack as a client of the protocol needs it, written from its specification and not from the server's codec. */
import type { Json } from '@rtapi/core/protocol'

/** The shortest form of small values, and one long form of all others. */
export function encodeMsgpack(value: unknown): Buffer {
  if (value === null || value === undefined) return Buffer.of(0xc0)
  if (typeof value === 'boolean') return Buffer.of(value ? 0xc3 : 0xc2)
  if (typeof value === 'string') return Buffer.concat([head(0xdb, Buffer.byteLength(value)), Buffer.from(value)])
  if (typeof value === 'number') return encodeNumber(value)
  if (Array.isArray(value)) return Buffer.concat([head(0xdd, value.length), ...value.map(encodeMsgpack)])
  const members = Object.entries(value).filter(([, member]) => member !== undefined)
  return Buffer.concat([head(0xdf, members.length), ...members.flat().map(encodeMsgpack)])
}

function encodeNumber(value: number): Buffer {
  if (Number.isInteger(value) && value >= 0 && value < 0x80) return Buffer.of(value)
  if (Number.isInteger(value) && value >= 0 && value <= 0xffff_ffff) return head(0xce, value)
  const bytes = Buffer.alloc(9)
  bytes[0] = 0xcb
  bytes.writeDoubleBE(value, 1)
  return bytes
}

/** A type and a number of four bytes. */
function head(type: number, length: number): Buffer {
  const bytes = Buffer.alloc(5)
  bytes[0] = type
  bytes.writeUInt32BE(length, 1)
  return bytes
}

/** @throws RangeError for what is cut short, Error for what the protocol has no use for. */
export function decodeMsgpack(bytes: Buffer): Json {
  let at = 0
  const take = (count: number): Buffer => {
    if (at + count > bytes.length) throw new RangeError('the frame is cut short')
    return bytes.subarray(at, (at += count))
  }
  const text = (length: number): string => take(length).toString('utf8')
  const list = (length: number): Json[] => Array.from({ length }, read)
  const map = (length: number): Json => Object.fromEntries(Array.from({ length }, () => [read() as string, read()]))

  function read(): Json {
    const type = take(1).readUInt8()
    if (type < 0x80) return type
    if (type < 0x90) return map(type & 0x0f)
    if (type < 0xa0) return list(type & 0x0f)
    if (type < 0xc0) return text(type & 0x1f)
    if (type >= 0xe0) return type - 0x100
    const form = forms[type]
    if (form === undefined) throw new Error(`there is no use for the type 0x${type.toString(16)}`)
    return form()
  }

  const forms: Readonly<Record<number, () => Json>> = {
    0xc0: () => null,
    0xc2: () => false,
    0xc3: () => true,
    0xca: () => take(4).readFloatBE(),
    0xcb: () => take(8).readDoubleBE(),
    0xcc: () => take(1).readUInt8(),
    0xcd: () => take(2).readUInt16BE(),
    0xce: () => take(4).readUInt32BE(),
    0xcf: () => Number(take(8).readBigUInt64BE()),
    0xd0: () => take(1).readInt8(),
    0xd1: () => take(2).readInt16BE(),
    0xd2: () => take(4).readInt32BE(),
    0xd3: () => Number(take(8).readBigInt64BE()),
    0xd9: () => text(take(1).readUInt8()),
    0xda: () => text(take(2).readUInt16BE()),
    0xdb: () => text(take(4).readUInt32BE()),
    0xdc: () => list(take(2).readUInt16BE()),
    0xdd: () => list(take(4).readUInt32BE()),
    0xde: () => map(take(2).readUInt16BE()),
    0xdf: () => map(take(4).readUInt32BE()),
  }

  const value = read()
  if (at < bytes.length) throw new Error('there is something behind the frame')
  return value
}
