import { hasParent } from './ending.ts'
import { paths } from './transports.ts'

/** Where everything of one board process is. */
export interface NodeAddresses {
  readonly http: string
  readonly ws: string
  readonly socketio: string
  readonly socketioPath: string
  readonly poll: string
}

/** The line of JSON on standard output that says the board is ready. */
export interface BoardLine extends NodeAddresses {
  readonly db: string
  /** Only of several nodes: the Redis between them. */
  readonly layer?: string
  /** Only of several nodes: each of them; the first has the addresses of the line itself. */
  readonly nodes?: readonly (NodeAddresses & { readonly pid: number })[]
}

/** @param http - without a slash at its end, such as `http://127.0.0.1:4000`. */
export function addressesOf(http: string): NodeAddresses {
  return {
    http,
    ws: `${http.replace(/^http/, 'ws')}${paths.ws}`,
    socketio: http,
    socketioPath: paths.socketio,
    poll: `${http}${paths.poll}`,
  }
}

/**
 * Says on standard output that the board is ready, and on standard error what people want to know, which a process that
 * another one has started leaves to that one.
 */
export function announce(line: BoardLine): void {
  const places = (line.nodes ?? [line]).map(({ http }) => http).join(' and ')
  if (!hasParent) {
    console.error(`The board is at ${places} (sign in as alice, bob, carol or root with the password pw)`)
  }
  console.log(JSON.stringify(line))
}
