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
  decode: (data) => JSON.parse(typeof data === 'string' ? data : utf8.decode(data)) as unknown,
}

const utf8 = new TextDecoder('utf-8', { fatal: true })
