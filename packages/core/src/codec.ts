import type { ServerMessage } from './protocol.ts'

/**
 * Writes and reads frames. The name stands in the subprotocol (`rtapi.v1.<name>`).
 *
 * `decode` MUST throw on anything it cannot read, and MUST answer plain JSON values: objects, arrays, strings, finite
 * numbers, booleans, null. It MUST NOT revive types, and a key such as `__proto__` is an own property or an error.
 */
export interface Codec {
  readonly name: string
  encode(frame: ServerMessage | readonly ServerMessage[]): string | Uint8Array
  decode(data: string | Uint8Array): unknown
}

/** Frames as JSON text. Bytes are read as UTF-8. */
export const jsonCodec: Codec = {
  name: 'json',
  encode: (frame) => JSON.stringify(frame),
  decode(data) {
    const text = typeof data === 'string' ? data : utf8.decode(data)
    const value: unknown = JSON.parse(text)
    if (MAYBE_INFINITE.test(text)) JSON.parse(text, refuseInfinite)
    return value
  },
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** Numbers too large for a double have an exponent of three digits or very many digits; `JSON.parse` reads them as infinity. */
const MAYBE_INFINITE = /\d[eE]\+?\d{3}|\d{200}/

function refuseInfinite(_: string, value: unknown): unknown {
  if (value === Number.POSITIVE_INFINITY || value === Number.NEGATIVE_INFINITY)
    throw new SyntaxError('the frame holds a number that is too large')
  return value
}
