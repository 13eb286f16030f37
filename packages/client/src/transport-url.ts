/**
 * An address as transports take it: absolute, or relative to the page.
 * @param example - an address that would be right, for the error.
 * @throws TypeError for one that is none.
 */
export function absoluteUrl(url: string, example: string): URL {
  const page = (globalThis as { readonly location?: { readonly href: string } }).location?.href
  if (!URL.canParse(url, page)) throw new TypeError(`url '${url}': expected an address such as ${example}`)
  return new URL(url, page)
}

/** The same for transports over HTTP: the address of a WebSocket server is that of an HTTP server as well. */
export function httpUrl(url: string): URL {
  const absolute = absoluteUrl(url, 'https://example.com/rt')
  absolute.protocol = absolute.protocol.replace(/^ws/, 'http')
  return absolute
}
