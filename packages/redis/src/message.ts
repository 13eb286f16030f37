/** What comes over the channel of a group: `1:<epoch>:<seq>:<tag of the previous entry>:<entry>`. */
export interface Message {
  readonly epoch: string
  readonly seq: number
  /** Tag of the entry before it, empty for the first one. */
  readonly previous: string
  /** As the log has it; empty in a notice, which only asks everybody to look at the log. */
  readonly body: string
}

/** The version of the format, first in every message: another one is not understood. */
export const MESSAGE_VERSION = '1'

const HEAD = /^1:([A-Za-z0-9_-]{1,32}):(\d{1,15}):([A-Za-z0-9_-]{0,16}):/
/** Bytes of the longest head, and of the tag and signature that begin an entry. */
const OVERHEAD = 200

/**
 * Takes a message apart, if it is one.
 * @param size - characters of the longest entry: what cannot be that short is not even read.
 */
export function parseMessage(data: Uint8Array, size: number): Message | undefined {
  // A character has at most three bytes: four bytes are two characters.
  if (data.length > size * 3 + OVERHEAD) return undefined
  const text = Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString()
  const head = HEAD.exec(text)
  if (head === null) return undefined
  const [start, epoch = '', seq = '', previous = ''] = head
  return { epoch, seq: Number(seq), previous, body: text.slice(start.length) }
}
