import type { ClientMessage, ServerMessage } from '@rtapi/core/protocol'
import type { BoardLine } from '../../board/src/board-line.ts'
import { decodeMsgpack, encodeMsgpack } from './msgpack.ts'

/** How a link ended: a close code, or 1006 where the transport has said none. */
export interface LinkEnd {
  readonly code: number
  readonly reason: string
}

/** One connection over a transport, which carries frames and knows nothing of what is in them. */
export interface WireLink {
  send(frame: readonly ClientMessage[]): void
  /** Says that it goes, where the transport has a way to say so. */
  close(): void
  /** Goes as a network does that fails: without a word. */
  cut(): void
}

export interface LinkOptions {
  /** The first frame. */
  readonly hello: readonly ClientMessage[]
  /** Of every request of the link. */
  readonly headers: Readonly<Record<string, string>>
  readonly received: (frame: readonly ServerMessage[]) => void
  /** Called once. */
  readonly closed: (end: LinkEnd) => void
}

/** Connects to a board; what goes wrong is told to `closed`. */
export type OpenLink = (line: BoardLine, options: LinkOptions) => WireLink

/** How frames are written. */
export interface FrameCodec {
  readonly name: 'json' | 'msgpack'
  encode(frame: readonly ClientMessage[]): string | Buffer
  decode(data: string | Buffer): readonly ServerMessage[]
}

export const json: FrameCodec = {
  name: 'json',
  encode: (frame) => JSON.stringify(unlessOne(frame)),
  decode: (data) => messagesOf(JSON.parse(String(data))),
}

export const msgpack: FrameCodec = {
  name: 'msgpack',
  encode: (frame) => encodeMsgpack(unlessOne(frame)),
  decode: (data) => messagesOf(decodeMsgpack(Buffer.from(data))),
}

/** One message, or a batch of them. */
function unlessOne(frame: readonly ClientMessage[]): ClientMessage | readonly ClientMessage[] | undefined {
  return frame.length === 1 ? frame[0] : frame
}

function messagesOf(frame: unknown): readonly ServerMessage[] {
  return (Array.isArray(frame) ? frame : [frame]) as readonly ServerMessage[]
}
