import { type OriginPolicy, type RequestSource, allowsOrigin } from '@rtapi/core'
import { httpHeaders } from './http-headers.ts'

/** What the policy of origins looks at. The URL names the host under which the client has asked. */
export function sourceOf({ method, headers, url }: Request): RequestSource {
  const { host, protocol } = new URL(url)
  return {
    header: (name) => (name === 'host' ? host : (headers.get(name) ?? undefined)),
    scheme: protocol === 'https:' ? 'https' : 'http',
    isPlainRead: method === 'GET',
  }
}

/** The headers by which a browser lets a page of another origin read an answer; none for pages that may not. */
export function crossOriginHeaders(request: Request, policy: OriginPolicy): Readonly<Record<string, string>> {
  const origin = request.headers.get('origin')
  if (origin === null || origin === new URL(request.url).origin) return {}
  const readable = { 'access-control-expose-headers': 'retry-after' }
  // Where nobody is asked, no page gets to use the cookies of another.
  if (policy.origins === 'any') return { ...readable, 'access-control-allow-origin': '*' }
  if (!allowsOrigin(origin, sourceOf(request), policy)) return {}
  return { ...readable, 'access-control-allow-origin': origin, 'access-control-allow-credentials': 'true' }
}

/** What a browser asks before a page of another origin sends headers that forms cannot. */
export function preflight(): Response {
  return new Response(null, {
    status: 204,
    headers: {
      'access-control-allow-methods': 'GET, POST',
      'access-control-allow-headers': ['authorization', 'content-type', ...Object.values(httpHeaders)].join(', '),
      'access-control-max-age': '600',
      'cache-control': 'no-store',
      vary: 'Origin, Access-Control-Request-Headers',
    },
  })
}
