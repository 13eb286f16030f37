import type { IncomingMessage } from 'node:http'
import type { TLSSocket } from 'node:tls'
import {
  type CloseCode,
  type Codec,
  type Handshake,
  type OriginPolicy,
  type RequestSource,
  closeCodes,
  forwardedAddress,
  originProblem,
} from '@rtapi/core'
import type { Socket } from 'socket.io'

/** A handshake that is refused: the close code which says what to do about it, and a text for whoever looks. */
export interface Refusal {
  readonly code: CloseCode
  readonly message: string
}

/** The longest token that is taken from `auth`, in characters. */
const MAX_TOKEN = 32_768

/** What the policy of origins looks at. Polling begins with a plain GET; an upgrade always names its origin. */
export function sourceOf({ headers, socket }: IncomingMessage): RequestSource {
  return {
    header(name) {
      const value = headers[name]
      return Array.isArray(value) ? value.join(',') : value
    },
    // Other engines than the one for Node's HTTP server know no socket.
    scheme: (socket as Partial<TLSSocket> | undefined)?.encrypted === true ? 'https' : 'http',
    isPlainRead: headers.upgrade === undefined,
  }
}

/** Where a request comes from: with `trustProxy`, as the nearest proxy says. Of WebTransport there is no request. */
export function requestAddress(
  request: IncomingMessage | null,
  remote: string | undefined,
  policy: OriginPolicy,
): string {
  return (request === null ? undefined : forwardedAddress(sourceOf(request), policy)) ?? remote ?? ''
}

/** Where a client comes from. */
export function addressOf(socket: Socket, policy: OriginPolicy): string {
  return requestAddress(requestOf(socket), socket.handshake.address, policy)
}

/** Why this page or program may not connect, if it may not. */
export function originRefusal(socket: Socket, policy: OriginPolicy): Refusal | undefined {
  if (policy.origins === 'any') return undefined
  // Of a WebTransport session nothing is known, and Engine.IO has not checked it either.
  const request = requestOf(socket)
  const message =
    request === null ? 'WebTransport does not say from which page it comes.' : originProblem(sourceOf(request), policy)
  return message === undefined ? undefined : { code: closeCodes.forbidden, message }
}

/** The codec that a client names in `auth.codec`; one that names none gets JSON if the API has it. */
export function chooseCodec(socket: Socket, codecs: readonly Codec[]): Codec | Refusal {
  const name = authOf(socket)['codec'] ?? (codecs.some((codec) => codec.name === 'json') ? 'json' : codecs[0]?.name)
  const known = codecs.map((codec) => codec.name).join(', ')
  const message = `Expected one of these codecs in \`auth.codec\`: ${known}.`
  return codecs.find((codec) => codec.name === name) ?? { code: closeCodes.version, message }
}

/** What is wrong with the token that a client gives in `auth.token`, if it gives one. */
export function tokenRefusal(socket: Socket): Refusal | undefined {
  const token = authOf(socket)['token'] ?? ''
  if (typeof token === 'string' && token.length <= MAX_TOKEN) return undefined
  return { code: closeCodes.unauthenticated, message: 'Expected a text in `auth.token`.' }
}

/** Headers that say nothing about a client; the others are kept as long as its connection lives. */
const dropped = new Set([
  'accept-encoding',
  'cache-control',
  'connection',
  'pragma',
  'sec-websocket-extensions',
  'sec-websocket-key',
  'sec-websocket-version',
  'upgrade',
])

/** What core and `authenticate` get to know of a handshake; nothing of it holds on to the request. */
export function describeHandshake(socket: Socket, remoteAddress: string): Handshake {
  const headers: Record<string, string | undefined> = {}
  for (const [name, value] of Object.entries(socket.handshake.headers)) {
    if (!dropped.has(name)) headers[name] = Array.isArray(value) ? value.join(', ') : value
  }
  const { token } = authOf(socket)
  return {
    transport: 'socket.io',
    url: socket.handshake.url ?? '/',
    headers,
    remoteAddress,
    ...(typeof token === 'string' ? { token } : {}),
  }
}

/** Whatever the client has sent as `auth`, as an object. */
function authOf(socket: Socket): { readonly codec?: unknown; readonly token?: unknown } {
  const auth: unknown = socket.handshake.auth
  return typeof auth === 'object' && auth !== null ? auth : {}
}

function requestOf(socket: Socket): IncomingMessage | null {
  const request: IncomingMessage | undefined | null = socket.request
  return request ?? null
}
