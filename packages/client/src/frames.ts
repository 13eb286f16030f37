import type { ClientMessage, ServerMessage } from '@rtapi/core/protocol'

/**
 * Characters up to which messages share a frame: a JSON value takes two at least, so the frame also stays below the
 * server's limit of values (10,000). The batch limit is its limit of messages.
 */
const SHARED_FRAME = 16_384
const BATCH = 100

/**
 * Writes messages as frames, in order, as few as the server's limits allow.
 * @param limit - bytes of one frame; a message that is longer goes alone.
 */
export function encodeFrames(messages: readonly ClientMessage[], limit: number): string[] {
  // A character takes three bytes at most.
  const characters = Math.min(SHARED_FRAME, limit / 3)
  const frames: string[] = []
  let batch: string[] = []
  let size = 0
  const flush = (): void => {
    if (batch.length > 0) frames.push(batch.length === 1 ? batch.join() : `[${batch.join()}]`)
    batch = []
    size = 0
  }
  for (const message of messages) {
    const text = JSON.stringify(message)
    if (size + text.length > characters || batch.length === BATCH) flush()
    batch.push(text)
    size += text.length + 1
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
export function frameBytes(message: ClientMessage): number {
  return new TextEncoder().encode(JSON.stringify(message)).length
}

/**
 * Reads a frame of the server: its messages in order, those without a `type` left out.
 * @throws SyntaxError if the text is no JSON.
 */
export function decodeFrame(text: string): readonly ServerMessage[] {
  const frame: unknown = JSON.parse(text)
  // The server's messages are taken at their word: only what has a type is one, and unknown types and fields are ignored.
  return (Array.isArray(frame) ? frame : [frame]).filter(
    (message: unknown): message is ServerMessage =>
      typeof message === 'object' && message !== null && 'type' in message && typeof message.type === 'string',
  )
}
