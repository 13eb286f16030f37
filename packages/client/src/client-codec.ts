/**
 * Writes and reads frames. Every codec that is a `Codec` of `@rtapi/core` is one, such as that of `@rtapi/msgpack`; the
 * server must have it too. Its name stands in the subprotocol (`rtapi.v1.<name>`).
 *
 * `encode` gets one message or an array of them: plain JSON values. `decode` MUST throw on anything it cannot read, and
 * MUST answer plain JSON values.
 */
export interface ClientCodec {
  readonly name: string
  encode(frame: unknown): string | Uint8Array
  decode(data: string | Uint8Array): unknown
}

/** Frames as JSON text. Bytes are read as UTF-8. */
export const jsonCodec: ClientCodec = {
  name: 'json',
  encode: (frame) => JSON.stringify(frame),
  decode: (data) => JSON.parse(typeof data === 'string' ? data : new TextDecoder().decode(data)) as unknown,
}
