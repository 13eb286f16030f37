import { printable } from '@rtapi/core'

/** What says where a browser may send requests from; see `HttpOptions`. */
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
 * Why a request may not come from where it comes from; `undefined` if it may. A browser keeps the answer from a foreign
 * page, but sends the request with the cookies of the host all the same: this check stands before what it would do.
 */
export function originProblem({ method, headers, url }: Request, policy: OriginPolicy): string | undefined {
  if (policy.origins === 'any') return undefined
  // Two headers arrive here joined by a comma, which no origin contains.
  const origin = headers.get('origin')
  const own = ownOrigin(url, headers, policy.trustProxy)
  if (origin !== null) return isAllowed(origin, own, policy) ? undefined : refusal(origin)
  // No browser, or a browser that reads from its own page; without a cookie it has nothing that others could misuse.
  if (!headers.has('cookie') || (method === 'GET' && isOwnRead(headers, own, policy))) return undefined
  return 'A request with cookies needs an Origin header.'
}

/** A read without Origin, which browsers send from pages of the same origin: they say so elsewhere. */
function isOwnRead(headers: Headers, own: string | undefined, policy: OriginPolicy): boolean {
  const site = headers.get('sec-fetch-site')
  if (site !== null) return site === 'same-origin'
  // Sent to hosts without TLS too, where browsers leave out the other.
  const referer = headers.get('referer')
  const from = referer === null ? undefined : URL.parse(referer)?.origin
  return from !== undefined && from !== 'null' && isAllowed(from, own, policy)
}

function isAllowed(origin: string, own: string | undefined, { origins }: OriginPolicy): boolean {
  return origin === own || (typeof origins !== 'string' && origins.includes(origin))
}

function refusal(origin: string): string {
  return (
    `The origin ${printable(origin)} may not send requests here. ` +
    'The server allows its own origin and those listed in the option `origins`; ' +
    'behind a proxy it learns its own origin from X-Forwarded-Proto and X-Forwarded-Host if `trustProxy` is set.'
  )
}

const HOST = /^[A-Za-z0-9._-]+(:\d{1,5})?$|^\[[0-9A-Fa-f:.]+\](:\d{1,5})?$/

/** Whether a Host header names a host, and nothing else. */
export function isHost(host: string): boolean {
  return HOST.test(host)
}

/** The origin of pages that this server would deliver, as the client addressed it. */
function ownOrigin(url: string, headers: Headers, trustProxy: boolean): string | undefined {
  const { host, protocol } = new URL(url)
  const said = (trustProxy ? lastOf(headers, 'x-forwarded-host') : undefined) ?? host
  const scheme = (trustProxy ? lastOf(headers, 'x-forwarded-proto') : undefined) ?? protocol.slice(0, -1)
  return isHost(said) ? URL.parse(`${scheme}://${said}`)?.origin : undefined
}

/** The entry of a list header that the nearest proxy has added. */
export function lastOf(headers: Headers, name: string): string | undefined {
  return headers.get(name)?.split(',').at(-1)?.trim()
}

/** The headers by which a browser lets a page of another origin read an answer; none for pages that may not. */
export function crossOriginHeaders({ headers, url }: Request, policy: OriginPolicy): Readonly<Record<string, string>> {
  const origin = headers.get('origin')
  if (origin === null || origin === new URL(url).origin) return {}
  // Where nobody is asked, no page gets to use the cookies of another.
  if (policy.origins === 'any') return { 'access-control-allow-origin': '*' }
  if (!isAllowed(origin, ownOrigin(url, headers, policy.trustProxy), policy)) return {}
  return { 'access-control-allow-origin': origin, 'access-control-allow-credentials': 'true' }
}
