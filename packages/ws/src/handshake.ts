import { type IncomingMessage, STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import { type Codec, type Handshake, type RequestSource, subprotocol } from '@rtapi/core'

const MAX_HEADERS = 64
const MAX_HEADER_CHARACTERS = 8_192

/** A handshake that is refused: the HTTP status, what the body says, and headers of its own. */
export interface Refusal {
  readonly status: number
  readonly message: string
  readonly headers?: Readonly<Record<string, string>>
}

/** What is wrong with a handshake by itself, whoever sends it. */
export function malformation({ headers, rawHeaders }: IncomingMessage): Refusal | undefined {
  if (rawHeaders.length > 2 * MAX_HEADERS || lengthOf(rawHeaders) > MAX_HEADER_CHARACTERS)
    return { status: 431, message: `A handshake holds at most ${MAX_HEADERS} headers of 8 KiB in all.` }
  if (headers.upgrade?.toLowerCase() !== 'websocket')
    return { status: 400, message: 'Expected the header `Upgrade: websocket`.' }
  if (headers['sec-websocket-version'] !== '13')
    return {
      status: 426,
      message: 'Expected WebSocket version 13 (RFC 6455).',
      headers: { Upgrade: 'websocket', 'Sec-WebSocket-Version': '13' },
    }
  return undefined
}

function lengthOf(texts: readonly string[]): number {
  let length = 0
  for (const text of texts) length += text.length
  return length
}

/** The subprotocols that a client offers, in its order of preference. */
function offered(request: IncomingMessage): readonly string[] {
  const header = request.headers['sec-websocket-protocol']
  return header === undefined ? [] : header.split(',').map((name) => name.trim())
}

/**
 * The codec of a client: that of the first subprotocol it offers which the API has. One that offers none at all, such
 * as a command-line tool, gets JSON if the API has it.
 */
export function chooseCodec(request: IncomingMessage, codecs: readonly Codec[]): Codec | Refusal {
  const names = offered(request)
  if (names.length === 0) {
    const plain = codecs.find((codec) => codec.name === 'json') ?? codecs[0]
    if (plain !== undefined) return plain
  }
  for (const name of names) {
    const codec = codecs.find((codec) => subprotocol(codec.name) === name)
    if (codec !== undefined) return codec
  }
  const known = codecs.map((codec) => subprotocol(codec.name)).join(', ')
  return { status: 400, message: `Expected one of these subprotocols in Sec-WebSocket-Protocol: ${known}.` }
}

/** Headers that say nothing about a client; the others are kept as long as its connection lives. */
const dropped = new Set([
  'accept-encoding',
  'cache-control',
  'connection',
  'pragma',
  'sec-websocket-extensions',
  'sec-websocket-key',
  'sec-websocket-protocol',
  'sec-websocket-version',
  'upgrade',
])

/** What core and `authenticate` get to know of a handshake; nothing of it holds on to the request. */
export function describeHandshake(request: IncomingMessage, remoteAddress: string): Handshake {
  const headers: Record<string, string | undefined> = {}
  for (const [name, value] of Object.entries(request.headers)) {
    if (!dropped.has(name)) headers[name] = Array.isArray(value) ? value.join(', ') : value
  }
  return { transport: 'ws', url: request.url ?? '/', headers, remoteAddress }
}

/** What the policy of origins looks at. */
export function sourceOf({ headers, socket }: IncomingMessage): RequestSource {
  return {
    header(name) {
      const value = headers[name]
      return Array.isArray(value) ? value.join(',') : value
    },
    scheme: 'encrypted' in socket && socket.encrypted === true ? 'https' : 'http',
    isPlainRead: false,
  }
}

/** Answers an upgrade request with an HTTP error and ends its socket. */
export function refuse(socket: Duplex, { status, message, headers = {} }: Refusal): void {
  const body = `${message}\n`
  const lines = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
    'Connection: close',
    'Content-Type: text/plain; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
  ]
  socket.on('error', () => socket.destroy())
  socket.once('finish', () => socket.destroy())
  socket.end(`${lines.join('\r\n')}\r\n\r\n${body}`)
}
