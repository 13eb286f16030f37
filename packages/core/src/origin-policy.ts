import { printable } from './protocol.ts'

/** Which pages a transport serves; the options of the same names. */
export interface OriginPolicy {
  /** `'same'`: the server's own origin. A list: these too, each exactly as browsers send it. `'any'`: no check. */
  readonly origins: 'same' | 'any' | readonly string[]
  /** Whether X-Forwarded-For, -Proto and -Host, each by its last entry, say what the connection itself does not. */
  readonly trustProxy: boolean
}

/** What a transport knows of a request, to be judged by an `OriginPolicy`. */
export interface RequestSource {
  /** A header, by its name in lower case. Several of one name come as one, with commas between. */
  readonly header: (name: string) => string | undefined
  /** Of the connection, as this server sees it. */
  readonly scheme: 'http' | 'https'
  /** Whether browsers leave out Origin for such a request to the host of its page: so they do for a plain GET. */
  readonly isPlainRead: boolean
}

/**
 * Checks the option once, since an origin written in another form than browsers use would never match.
 * @throws TypeError that says what would be right.
 */
export function assertOrigins({ origins }: Pick<OriginPolicy, 'origins'>): void {
  if (typeof origins === 'string') return
  for (const origin of origins) {
    const normal = origin === 'null' ? origin : originOf(origin)
    if (normal !== origin)
      throw new TypeError(
        `origins: '${origin}' is not an origin as browsers send it; ` +
          `expected ${normal === undefined || normal === 'null' ? 'something like https://app.example.com' : normal}`,
      )
  }
}

/**
 * Why a request may not come from where it comes from, in words for its sender; `undefined` if it may. Browsers send
 * requests of foreign pages with the cookies of the host, and for WebSockets do not even keep the answers from them.
 */
export function originProblem(source: RequestSource, policy: OriginPolicy): string | undefined {
  if (policy.origins === 'any') return undefined
  // Two headers arrive here joined by a comma, which no origin contains.
  const origin = source.header('origin')
  if (origin !== undefined) return allowsOrigin(origin, source, policy) ? undefined : refusalOf(origin)
  const site = source.header('sec-fetch-site')
  if (source.isPlainRead && isFromOwnPage(site, source, policy)) return undefined
  if (site === 'cross-site' || site === 'same-site') return 'A page of another site may not send this.'
  // No browser; and if it brings no cookie, it has nothing that a foreign page could misuse.
  return source.header('cookie') === undefined ? undefined : 'A request with cookies needs an Origin header.'
}

/** Whether pages of this origin are served. */
export function allowsOrigin(origin: string, source: RequestSource, policy: OriginPolicy): boolean {
  if (policy.origins === 'any' || origin === ownOrigin(source, policy)) return true
  return policy.origins !== 'same' && policy.origins.includes(origin)
}

/** Where a client comes from if a proxy says so that is trusted. */
export function forwardedAddress({ header }: Pick<RequestSource, 'header'>, policy: OriginPolicy): string | undefined {
  return policy.trustProxy ? lastOf(header('x-forwarded-for')) : undefined
}

/** Whether the value of a Host header names a host, and nothing else. */
export function isHost(host: string): boolean {
  return /^[A-Za-z0-9._-]+(:\d{1,5})?$|^\[[0-9A-Fa-f:.]+\](:\d{1,5})?$/.test(host)
}

/** Browsers say it in Sec-Fetch-Site, or without TLS in Referer; no page can set either. */
function isFromOwnPage(site: string | undefined, source: RequestSource, policy: OriginPolicy): boolean {
  if (site !== undefined) return site === 'same-origin'
  const page = originOf(source.header('referer') ?? '')
  return page !== undefined && page !== 'null' && allowsOrigin(page, source, policy)
}

/** The origin of pages that this server would deliver, as the client addressed it. */
function ownOrigin({ header, scheme }: RequestSource, { trustProxy }: OriginPolicy): string | undefined {
  const host = (trustProxy ? lastOf(header('x-forwarded-host')) : undefined) ?? header('host')
  const forwarded = trustProxy ? lastOf(header('x-forwarded-proto')) : undefined
  return host !== undefined && isHost(host) ? originOf(`${forwarded ?? scheme}://${host}`) : undefined
}

/** The entry of a list header that the nearest proxy has added. */
function lastOf(value: string | undefined): string | undefined {
  return value?.split(',').at(-1)?.trim()
}

function originOf(url: string): string | undefined {
  return URL.canParse(url) ? new URL(url).origin : undefined
}

function refusalOf(origin: string): string {
  return (
    `The origin ${printable(origin)} may not connect here. ` +
    'The server allows its own origin and those listed in the option `origins`; ' +
    'behind a proxy it learns its own origin from X-Forwarded-Proto and X-Forwarded-Host if `trustProxy` is set.'
  )
}
