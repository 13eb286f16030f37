import { type EncodedFrame, frameHeaderLength, writeFrameHeader } from '@rtapi/core'

/**
 * Wire bytes of the frames that a socket got since its last write, as a list that runs backwards. Sockets which got the
 * same frames in the same order hold the same object, so that their bytes are joined once for all of them.
 */
export class FrameChain {
  /** Of all frames from the first to this one. */
  readonly byteLength: number
  private readonly previous: FrameChain | null
  private readonly bytes: Buffer
  /** The chain that somebody last continued this one to: the next socket most likely wants the same. */
  private next: FrameChain | null = null
  private joined: Buffer | null

  constructor(bytes: Buffer, previous: FrameChain | null = null) {
    this.bytes = bytes
    this.previous = previous
    this.byteLength = previous === null ? bytes.length : previous.byteLength + bytes.length
    this.joined = previous === null ? bytes : null
  }

  /** This chain and one more frame. */
  append(frame: FrameChain): FrameChain {
    if (this.next?.bytes === frame.bytes) return this.next
    this.next = new FrameChain(frame.bytes, this)
    return this.next
  }

  /** The frames as one buffer, which nobody may change. */
  toBuffer(): Buffer {
    return (this.joined ??= this.join())
  }

  private join(): Buffer {
    const joined = Buffer.allocUnsafe(this.byteLength)
    joined.set(this.bytes, this.byteLength - this.bytes.length)
    for (let chain = this.previous; chain !== null; chain = chain.previous) {
      joined.set(chain.bytes, chain.byteLength - chain.bytes.length)
    }
    return joined
  }
}

/** Wire forms of frames whose own place another transport has taken. */
const elsewhere = new WeakMap<EncodedFrame, FrameChain>()

/** The wire form of a frame, built at its first use and kept with it. */
export function chainOf(frame: EncodedFrame): FrameChain {
  if (frame.wire instanceof FrameChain) return frame.wire
  const known = frame.wire === undefined ? undefined : elsewhere.get(frame)
  if (known !== undefined) return known
  const chain = new FrameChain(frameBytes(frame.data))
  if (frame.wire === undefined) frame.wire = chain
  else elsewhere.set(frame, chain)
  return chain
}

/** One unfragmented, unmasked frame (RFC 6455, 5.2): text for a string, binary for bytes. */
export function frameBytes(data: string | Uint8Array): Buffer {
  const length = typeof data === 'string' ? Buffer.byteLength(data) : data.byteLength
  const headerLength = frameHeaderLength(length)
  const bytes = Buffer.allocUnsafe(headerLength + length)
  writeFrameHeader(bytes, length, typeof data === 'string')
  if (typeof data === 'string') bytes.write(data, headerLength)
  else bytes.set(data, headerLength)
  return bytes
}
