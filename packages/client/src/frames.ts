import type { ClientMessage, ServerMessage } from '@rtapi/core/protocol'
import type { ClientCodec } from './client-codec.ts'

/**
 * Sizes up to which messages share a frame, so that it also stays below the server's limit of values (10,000): in JSON a
 * value takes two characters at least, in a codec of bytes one. The batch limit is its limit of messages.
 */
const SHARED_TEXT = 16_384
const SHARED_BYTES = 8_192
const BATCH = 100

/**
 * Writes messages as frames, in order, as few as the server's limits allow.
 * @param limit - bytes of one frame; a message that is longer goes alone.
 */
export function encodeFrames(
  codec: ClientCodec,
  messages: readonly ClientMessage[],
  limit: number,
): (string | Uint8Array)[] {
  const frames: (string | Uint8Array)[] = []
  let batch: ClientMessage[] = []
  let alone: string | Uint8Array = ''
  let size = 0
  const flush = (): void => {
    if (batch.length > 0) frames.push(batch.length === 1 ? alone : codec.encode(batch))
    batch = []
    size = 0
  }
  for (const message of messages) {
    const data = codec.encode(message)
    // A character takes three bytes at most.
    const most = typeof data === 'string' ? Math.min(SHARED_TEXT, limit / 3) : Math.min(SHARED_BYTES, limit - 8)
    if (size + data.length > most || batch.length === BATCH) flush()
    batch.push(message)
    alone = data
    size += data.length + 1
  }
  flush()
  return frames
}

/**
 * A message as it will arrive. What waits, or is sent again after a lost link, must not change with what it was made of.
 * @throws TypeError if it cannot be written as JSON.
 */
export function asSent<T>(message: T): T {
  return JSON.parse(JSON.stringify(message)) as T
}

/** Bytes of a message on the wire. */
export function frameBytes(codec: ClientCodec, message: ClientMessage): number {
  const data = codec.encode(message)
  return typeof data === 'string' ? new TextEncoder().encode(data).length : data.length
}

/**
 * Reads a frame of the server: its messages in order, those without a `type` left out.
 * @throws whatever the codec throws for what it cannot read.
 */
export function decodeFrame(codec: ClientCodec, data: string | Uint8Array): readonly ServerMessage[] {
  const frame = codec.decode(data)
  // The server's messages are taken at their word: only what has a type is one, and unknown types and fields are ignored.
  return (Array.isArray(frame) ? frame : [frame]).filter(
    (message: unknown): message is ServerMessage =>
      typeof message === 'object' && message !== null && 'type' in message && typeof message.type === 'string',
  )
}
