import { Encoder } from '@msgpack/msgpack'
import type { Codec } from '@rtapi/core'
import { isJson, toJson } from './json-value.ts'
import { MAX_DEPTH } from './max-depth.ts'
import { readMessagePack } from './read-message-pack.ts'

/**
 * Frames as MessagePack: each frame is bytes. Stands in subprotocols and in socket.io's `auth.codec` as `msgpack`.
 *
 * Writes what `JSON.stringify` would write: members that are `undefined` are left out, dates become texts, numbers that
 * are not finite become null. Lone surrogates, which are not UTF-8, become U+FFFD. `encode` throws a TypeError for what
 * JSON has no form for, and an Error for values that are nested deeper than 256 levels.
 *
 * Reads plain JSON values only: `decode` throws a SyntaxError for text, binary data, extensions such as timestamps, keys
 * that are no texts, numbers that are not finite or are whole and not safe, text that is no UTF-8, more than 256 levels,
 * a frame that is cut short and one with something after it.
 */
export const msgpackCodec: Codec = {
  name: 'msgpack',
  encode: (frame) => encoder.encode(isJson(frame) ? frame : toJson(frame)),
  decode(data) {
    if (typeof data === 'string') throw new SyntaxError('a MessagePack frame is bytes, not a text')
    return readMessagePack(data)
  },
}

const encoder = new Encoder({
  ignoreUndefined: true,
  maxDepth: MAX_DEPTH,
  // Without this, dates would be written as timestamps. What comes here is plain, so nothing is left to extend.
  extensionCodec: { tryToEncode: () => null, decode: () => null },
})
