import type { Handshake } from '@rtapi/core'
import { bearerToken } from './credentials.ts'
import { httpHeaders } from './http-headers.ts'

/** A request on its way to its answer. */
export interface Exchange {
  readonly request: Request
  /** What follows the path of the endpoint, between slashes; not decoded. */
  readonly path: readonly string[]
  readonly query: URLSearchParams
  /** Where it comes from; empty where that is not known. */
  readonly address: string
  /**
   * Reads the body, once.
   * @throws HttpRefusal if it is too long, too slow, or no text.
   */
  body(): Promise<string>
}

/** Headers that say nothing about a client; the others are kept as long as its session lives. */
const dropped = new Set<string>([
  'accept-encoding',
  'cache-control',
  'connection',
  'content-length',
  'content-type',
  'pragma',
  'transfer-encoding',
  ...Object.values(httpHeaders),
])

/** What core and `authenticate` get to know of a client. No token is read from the URL, since URLs end up in logs. */
export function handshakeOf({ request, address }: Exchange, transport: string): Handshake {
  const headers: Record<string, string> = {}
  for (const [name, value] of request.headers) if (!dropped.has(name)) headers[name] = value
  const { pathname, search } = new URL(request.url)
  const token = bearerToken(request.headers)
  return {
    transport,
    url: pathname + search,
    headers,
    ...(address === '' ? {} : { remoteAddress: address }),
    ...(token === undefined ? {} : { token }),
  }
}
