import { byteLength } from './byte-length.ts'
import type { Codec } from './codec.ts'
import type { ServerMessage } from './protocol.ts'
import type { EncodedFrame } from './transport-socket.ts'

/** A message to many sockets: encoded once for each codec in use, and then the same object for all of them. */
export class SharedFrame {
  readonly message: ServerMessage
  #codec: Codec | undefined
  #encoded: EncodedFrame | undefined
  #size: number | undefined
  #others: Map<Codec, EncodedFrame> | undefined

  constructor(message: ServerMessage) {
    this.message = message
  }

  /** Its bytes; measured once for the first codec in use. */
  sizeOf(codec: Codec): number {
    const { data } = this.encode(codec)
    return codec === this.#codec ? (this.#size ??= byteLength(data)) : byteLength(data)
  }

  encode(codec: Codec): EncodedFrame {
    if (this.#encoded === undefined) {
      this.#codec = codec
      this.#encoded = { data: codec.encode(this.message) }
    }
    if (codec === this.#codec) return this.#encoded
    this.#others ??= new Map()
    const known = this.#others.get(codec)
    if (known !== undefined) return known
    const encoded: EncodedFrame = { data: codec.encode(this.message) }
    this.#others.set(codec, encoded)
    return encoded
  }
}
