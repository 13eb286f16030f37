import type { IncomingMessage } from 'node:http'
import { printable } from '@rtapi/core'

/** What says where a browser may connect from; see `SocketIoOptions`. */
export interface OriginPolicy {
  readonly origins: 'same' | 'any' | readonly string[]
  readonly trustProxy: boolean
}

/** Checks the options once, since an origin written in another form than browsers use would never match. */
export function assertOrigins({ origins }: Pick<OriginPolicy, 'origins'>): void {
  if (typeof origins === 'string') return
  for (const origin of origins) {
    const normal = origin === 'null' ? origin : URL.parse(origin)?.origin
    if (normal !== origin)
      throw new TypeError(
        `origins: '${origin}' is not an origin as browsers send it; ` +
          `expected ${normal === undefined || normal === 'null' ? 'something like https://app.example.com' : normal}`,
      )
  }
}

/**
 * Why a handshake may not come from where it comes from; `undefined` if it may. socket.io's `cors` only decides whether a
 * page may read the answers of HTTP polling: it lets every page open a WebSocket, with the cookies of the host.
 */
export function originProblem(request: IncomingMessage, policy: OriginPolicy): string | undefined {
  if (policy.origins === 'any') return undefined
  // Two headers arrive here joined by a comma, which no origin contains.
  const { origin } = request.headers
  if (origin === undefined) return problemWithoutOrigin(request, policy)
  if (isAllowed(origin, request, policy)) return undefined
  return (
    `The origin ${printable(origin)} may not connect here. ` +
    'The server allows its own origin and those listed in the option `origins`; ' +
    'behind a proxy it learns its own origin from X-Forwarded-Proto and X-Forwarded-Host if `trustProxy` is set.'
  )
}

/**
 * Polling begins with a plain GET, for which browsers send no Origin to the page's own host. They say so in
 * Sec-Fetch-Site, or over plain HTTP in Referer; no page can set either.
 */
function problemWithoutOrigin(request: IncomingMessage, policy: OriginPolicy): string | undefined {
  const { cookie, referer, upgrade } = request.headers
  const site = request.headers['sec-fetch-site']
  const isOwnPage = upgrade === undefined && (site === 'same-origin' || (site === undefined && cameFromOwn(referer)))
  if (isOwnPage) return undefined
  if (site === 'cross-site' || site === 'same-site') return 'Another site may not connect here.'
  // No browser; and if it brings no cookie, it has nothing that a foreign page could misuse.
  return cookie === undefined ? undefined : 'A handshake with cookies needs an Origin header.'

  function cameFromOwn(page: string | undefined): boolean {
    const from = page === undefined ? undefined : URL.parse(page)?.origin
    return from !== undefined && from !== 'null' && isAllowed(from, request, policy)
  }
}

function isAllowed(origin: string, request: IncomingMessage, { origins, trustProxy }: OriginPolicy): boolean {
  return origin === ownOrigin(request, trustProxy) || (typeof origins !== 'string' && origins.includes(origin))
}

const HOST = /^[A-Za-z0-9._-]+(:\d{1,5})?$|^\[[0-9A-Fa-f:.]+\](:\d{1,5})?$/

/** The origin of pages that this server would deliver, as the client addressed it. */
function ownOrigin(request: IncomingMessage, trustProxy: boolean): string | undefined {
  const host = (trustProxy ? lastOf(request, 'x-forwarded-host') : undefined) ?? request.headers.host
  const scheme =
    (trustProxy ? lastOf(request, 'x-forwarded-proto') : undefined) ??
    ('encrypted' in request.socket && request.socket.encrypted === true ? 'https' : 'http')
  if (host === undefined || !HOST.test(host)) return undefined
  return URL.parse(`${scheme}://${host}`)?.origin
}

/** The entry of a list header that the nearest proxy has added. */
export function lastOf(request: IncomingMessage, header: string): string | undefined {
  const value = request.headers[header]
  const list = Array.isArray(value) ? value.join(',') : value
  return list?.split(',').at(-1)?.trim()
}
