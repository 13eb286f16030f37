import { type Codec, jsonCodec } from '@rtapi/core'

/** JSON written as bytes. */
export function bytesCodec(name: string): Codec {
  return {
    name,
    encode: (frame) => new TextEncoder().encode(JSON.stringify(frame)),
    decode: (data) => jsonCodec.decode(data),
  }
}
