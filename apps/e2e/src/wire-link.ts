import type { ClientMessage, ServerMessage } from '@rtapi/core/protocol'
import type { BoardLine } from '../../board/src/board-line.ts'

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

/** The text of a frame: one message, or a batch of them. */
export function frameText(frame: readonly ClientMessage[]): string {
  return JSON.stringify(frame.length === 1 ? frame[0] : frame)
}

/** The messages of a frame. */
export function messagesOf(text: string): readonly ServerMessage[] {
  const frame = JSON.parse(text) as ServerMessage | readonly ServerMessage[]
  return Array.isArray(frame) ? (frame as readonly ServerMessage[]) : [frame as ServerMessage]
}
