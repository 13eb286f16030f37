import type { BoardLine } from '../../../board/src/board-line.ts'
import { RawConnection } from './raw-connection.ts'

/** Lines of a request's head. */
export type HeaderLines = readonly (readonly [name: string, value: string])[]

/** One way into the board: the request that opens it, and the status if it is opened. */
export interface Door {
  readonly name: string
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly headers: HeaderLines
  readonly body?: string
  readonly opens: 101 | 200
}

const upgrade: HeaderLines = [
  ['Connection', 'Upgrade'],
  ['Upgrade', 'websocket'],
  ['Sec-WebSocket-Key', 'dGhlIHNhbXBsZSBub25jZQ=='],
  ['Sec-WebSocket-Version', '13'],
]
const json: HeaderLines = [['Content-Type', 'application/json']]
const hello = '{"type":"hello","versions":[1]}'

export const ws: Door = { name: 'ws', method: 'GET', path: '/rt', headers: upgrade, opens: 101 }
export const socketIo: Door = {
  name: 'socket.io',
  method: 'GET',
  path: '/socket.io/?EIO=4&transport=websocket',
  headers: upgrade,
  opens: 101,
}
export const socketIoPolling: Door = {
  name: 'polling of socket.io',
  method: 'GET',
  path: '/socket.io/?EIO=4&transport=polling',
  headers: [],
  opens: 200,
}
export const longPolling: Door = {
  name: 'long polling',
  method: 'POST',
  path: '/rt-poll',
  headers: json,
  body: hello,
  opens: 200,
}
export const eventStream: Door = {
  name: 'an event stream',
  method: 'GET',
  path: `/rt-poll/stream?subscribe=${encodeURIComponent('{"resource":"projects"}')}`,
  headers: [['Accept', 'text/event-stream']],
  opens: 200,
}
export const oneRequest: Door = {
  name: 'a single request',
  method: 'POST',
  path: '/rt-poll/projects/list',
  headers: json,
  body: '{}',
  opens: 200,
}

export const doors: readonly Door[] = [ws, socketIo, socketIoPolling, longPolling, eventStream, oneRequest]
export const webSockets: readonly Door[] = [ws, socketIo]

export interface Knock {
  /** Beside those of the door. */
  readonly headers?: HeaderLines
  readonly path?: string
  readonly method?: string
  readonly body?: string
  /** The address that the attacker comes from. */
  readonly from?: string
}

export function portOf({ http }: BoardLine): number {
  return Number(new URL(http).port)
}

/** Sends what opens a door, changed; the answer is for whoever waits for it. */
export async function knock(line: BoardLine, door: Door, changed: Knock = {}): Promise<RawConnection> {
  const connection = await RawConnection.open(portOf(line), changed.from)
  const body = changed.body ?? door.body
  const lines: HeaderLines = [
    ['Host', new URL(line.http).host],
    ...door.headers,
    ...(body === undefined ? [] : ([['Content-Length', String(Buffer.byteLength(body))]] as const)),
    ...(changed.headers ?? []),
  ]
  const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')
  connection.write(`${changed.method ?? door.method} ${changed.path ?? door.path} HTTP/1.1\r\n${head}\r\n`, body ?? '')
  return connection
}

/** The same, and answers the status. */
export async function statusOf(line: BoardLine, door: Door, changed: Knock = {}): Promise<number> {
  const connection = await knock(line, door, changed)
  const { status } = await connection.answer()
  connection.close()
  return status
}

/** An open WebSocket which has joined, where one has to: `say` then sends a frame of the protocol as a right client would. */
export async function enter(line: BoardLine, door: Door, changed: Knock = {}): Promise<RawConnection> {
  const connection = await knock(line, door, changed)
  await connection.says('\r\n\r\n')
  if (door !== socketIo) return connection
  await connection.says('"sid"')
  connection.write(textFrame('40'))
  await connection.says('40{')
  return connection
}

export function say(connection: RawConnection, door: Door, frame: string): void {
  connection.write(textFrame(door === socketIo ? `42${JSON.stringify(['rtapi', frame])}` : frame))
}

function textFrame(payload: string): Buffer {
  return wireFrame(0x81, Buffer.from(payload))
}

/** One frame of a WebSocket, right or wrong. @param first - the first byte: FIN, the reserved bits and the opcode. */
export function wireFrame(first: number, payload: Buffer, { masked = true, claims = payload.length } = {}): Buffer {
  const header = Buffer.alloc(claims < 126 ? 2 : claims < 65_536 ? 4 : 10)
  const mask = masked ? 0x80 : 0
  header[0] = first
  header[1] = mask | (claims < 126 ? claims : claims < 65_536 ? 126 : 127)
  if (header.length === 4) header.writeUInt16BE(claims, 2)
  if (header.length === 10) header.writeBigUInt64BE(BigInt(claims), 2)
  // A mask of zeros changes nothing.
  return Buffer.concat([header, masked ? Buffer.alloc(4) : Buffer.alloc(0), payload])
}
