import type { Codec } from '@rtapi/core'

/** A codec that writes bytes which nobody could take for JSON. */
export const bytesCodec: Codec = {
  name: 'mirrored',
  encode: (frame) => new TextEncoder().encode(JSON.stringify(frame)).map(mirror),
  decode(data) {
    if (typeof data === 'string') throw new TypeError('expected bytes')
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(Uint8Array.from(data, mirror))) as unknown
  },
}

const mirror = (byte: number): number => 255 - byte
