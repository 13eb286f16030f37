import type { BoardLine } from '../../board/src/board-line.ts'
import { openEventStream } from './links/event-stream.ts'
import { openLongPolling } from './links/long-polling.ts'
import { openNodeWebSocket } from './links/node-web-socket.ts'
import { openSocketIo } from './links/socket-io.ts'
import { openWs } from './links/ws.ts'
import { ScriptClient } from './script-client.ts'
import { type WireClient, connect } from './wire-client.ts'
import { type OpenLink, json, msgpack } from './wire-link.ts'

/** The transports over which one connection carries everything. */
export const links = {
  ws: openWs(json),
  'ws-msgpack': openWs(msgpack),
  'node-websocket': openNodeWebSocket,
  'socket.io': openSocketIo('websocket', json),
  'socket.io-msgpack': openSocketIo('websocket', msgpack),
  'socket.io-polling': openSocketIo('polling', json),
  'long-polling': openLongPolling,
  'event-stream': openEventStream,
} as const satisfies Readonly<Record<string, OpenLink>>

export type LinkName = keyof typeof links

/** `script`: `curl` for requests and a stock `EventSource` for views. */
export type TransportName = LinkName | 'script'

/** What clients of every transport can do. */
export type AnyClient = Pick<WireClient, 'request' | 'subscribe' | 'messages' | 'closed'> & {
  close(): Promise<unknown>
}

/** Connects as whoever the token says. */
export async function connectOver(transport: TransportName, line: BoardLine, token?: string): Promise<AnyClient> {
  if (transport === 'script') return new ScriptClient(line, token)
  return connect(line, { open: links[transport], ...(token === undefined ? {} : { token }) })
}
