import type { EncodedFrame } from '@rtapi/core'

/** Frames that go to many clients are turned into bytes once. */
const bytesOf = new WeakMap<EncodedFrame, Uint8Array>()
const encoder = new TextEncoder()

/** The bytes of a frame, which nobody may change. */
function frameBytes(frame: EncodedFrame): Uint8Array {
  if (typeof frame.data !== 'string') return frame.data
  const known = bytesOf.get(frame)
  if (known !== undefined) return known
  const bytes = encoder.encode(frame.data)
  bytesOf.set(frame, bytes)
  return bytes
}

/**
 * The frames of one session, numbered from 1, from the first that its client has not acknowledged. A *cursor* is the
 * number of a frame: a client that names it has that frame and all before it.
 */
export class FrameLog {
  #frames: Uint8Array[] = []
  /** The number of the last frame that was forgotten. */
  #start = 0
  #size = 0

  /** Before the first frame that is still known. */
  get start(): number {
    return this.#start
  }

  get last(): number {
    return this.#start + this.#frames.length
  }

  /** Bytes of all frames that are kept. */
  get size(): number {
    return this.#size
  }

  /** Answers the bytes that the frame adds. */
  append(frame: EncodedFrame): number {
    const bytes = frameBytes(frame)
    this.#frames.push(bytes)
    this.#size += bytes.byteLength
    return bytes.byteLength
  }

  at(number: number): Uint8Array | undefined {
    return this.#frames[number - this.#start - 1]
  }

  /** The frames behind a cursor: all, or as many as are no more than so many bytes, and one at least. */
  after(cursor: number, most: number): readonly Uint8Array[] {
    const found: Uint8Array[] = []
    let size = 0
    for (let number = cursor + 1; number <= this.last; number++) {
      const frame = this.at(number)
      if (frame === undefined) break
      size += frame.byteLength
      if (found.length > 0 && size > most) break
      found.push(frame)
    }
    return found
  }

  /** Forgets the frames up to this one; answers their bytes. */
  forget(cursor: number): number {
    const count = Math.min(cursor - this.#start, this.#frames.length)
    if (count <= 0) return 0
    let size = 0
    for (const frame of this.#frames.splice(0, count)) size += frame.byteLength
    this.#start += count
    this.#size -= size
    return size
  }

  clear(): void {
    this.forget(this.last)
  }
}
