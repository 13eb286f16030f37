import { MAX_DEPTH } from './max-depth.ts'

/**
 * Reads one value of MessagePack that has the form of JSON, and nothing else. The usual decoders let pass what a frame
 * of a stranger must not hold, such as broken UTF-8 and whole numbers that are not exact, and make room for announced
 * lengths before the data has come.
 *
 * Format: https://github.com/msgpack/msgpack/blob/master/spec.md
 * @throws SyntaxError
 */
export function readMessagePack(bytes: Uint8Array): unknown {
  const reader = new Reader(bytes)
  const value = reader.value(1)
  if (reader.rest > 0) throw new SyntaxError('the frame holds something after its value')
  return value
}

class Reader {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  get rest(): number {
    return this.#bytes.length - this.#at
  }

  /** Reads one value on this level, the outermost being 1. */
  value(depth: number): unknown {
    const head = this.#uint8()
    if (head < 0x80) return head
    if (head < 0x90) return this.#object(head & 0x0f, depth + 1)
    if (head < 0xa0) return this.#array(head & 0x0f, depth + 1)
    if (head < 0xc0) return this.#text(head & 0x1f)
    if (head > 0xdf) return head - 0x100
    switch (head) {
      case 0xc0:
        return null
      case 0xc2:
        return false
      case 0xc3:
        return true
      case 0xca:
        return finite(this.#view.getFloat32(this.#take(4)))
      case 0xcb:
        return finite(this.#view.getFloat64(this.#take(8)))
      case 0xcc:
        return this.#uint8()
      case 0xcd:
        return this.#uint16()
      case 0xce:
        return this.#uint32()
      case 0xcf:
        return safe(this.#uint32(), this.#uint32())
      case 0xd0:
        return this.#view.getInt8(this.#take(1))
      case 0xd1:
        return this.#view.getInt16(this.#take(2))
      case 0xd2:
        return this.#int32()
      case 0xd3:
        return safe(this.#int32(), this.#uint32())
      case 0xdc:
        return this.#array(this.#uint16(), depth + 1)
      case 0xdd:
        return this.#array(this.#uint32(), depth + 1)
      case 0xde:
        return this.#object(this.#uint16(), depth + 1)
      case 0xdf:
        return this.#object(this.#uint32(), depth + 1)
      default:
        return this.#longText(head)
    }
  }

  #array(length: number, depth: number): unknown[] {
    this.#expect(length, depth)
    const items: unknown[] = []
    for (let i = 0; i < length; i++) items.push(this.value(depth))
    return items
  }

  /** As in JSON, the last of several members with one key counts. */
  #object(size: number, depth: number): Record<string, unknown> {
    this.#expect(size * 2, depth)
    const object: Record<string, unknown> = {}
    for (let i = 0; i < size; i++) {
      const head = this.#uint8()
      const key = head >= 0xa0 && head < 0xc0 ? this.#text(head & 0x1f) : this.#longText(head)
      const value = this.value(depth)
      // To assign to this one would replace the prototype.
      if (key === '__proto__')
        Object.defineProperty(object, key, { value, configurable: true, enumerable: true, writable: true })
      else object[key] = value
    }
    return object
  }

  /** Refuses announced values for which there is no data, before room is made for them: each takes a byte or more. */
  #expect(values: number, depth: number): void {
    if (values > this.rest) throw cutShort()
    if (values > 0 && depth > MAX_DEPTH) throw new SyntaxError(`the frame is nested deeper than ${MAX_DEPTH} levels`)
  }

  #longText(head: number): string {
    if (head === 0xd9) return this.#text(this.#uint8())
    if (head === 0xda) return this.#text(this.#uint16())
    if (head === 0xdb) return this.#text(this.#uint32())
    // Binary data, extensions, what is reserved; and, for keys, all that is no text.
    throw new SyntaxError(`the frame holds what JSON does not: type 0x${head.toString(16)}`)
  }

  #text(length: number): string {
    const start = this.#take(length)
    if (length > SHORT) return utf8.decode(this.#bytes.subarray(start, this.#at))
    let text = ''
    for (let at = start; at < this.#at; at++) {
      const byte = this.#bytes[at] ?? 0
      if (byte > 0x7f) return utf8.decode(this.#bytes.subarray(start, this.#at))
      text += String.fromCharCode(byte)
    }
    return text
  }

  #uint8(): number {
    return this.#view.getUint8(this.#take(1))
  }

  #uint16(): number {
    return this.#view.getUint16(this.#take(2))
  }

  #uint32(): number {
    return this.#view.getUint32(this.#take(4))
  }

  #int32(): number {
    return this.#view.getInt32(this.#take(4))
  }

  /** Steps over so many bytes; answers where they begin. */
  #take(length: number): number {
    if (length > this.rest) throw cutShort()
    const start = this.#at
    this.#at += length
    return start
  }
}

/** Bytes up to which a loop is quicker than to call the decoder. */
const SHORT = 24

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function finite(number: number): number {
  if (!Number.isFinite(number)) throw new SyntaxError(`the frame holds the number ${number}`)
  return number
}

function safe(high: number, low: number): number {
  const number = high * 0x1_0000_0000 + low
  if (!Number.isSafeInteger(number)) throw new SyntaxError('the frame holds a whole number that is not exact')
  return number
}

function cutShort(): SyntaxError {
  return new SyntaxError('the frame is cut short')
}
