import {
  AcceptGate,
  type Api,
  type Codec,
  type OriginPolicy,
  assertOrigins,
  forwardedAddress,
  originProblem,
} from '@rtapi/core'
import { HttpRefusal, laterAnswer, refusalAnswer, refuse, refuseForNow } from './answers.ts'
import { crossOriginHeaders, preflight, sourceOf } from './cross-origin.ts'
import type { Exchange } from './exchange.ts'
import { httpHeaders } from './http-headers.ts'
import { runOneShot } from './one-shot.ts'
import { readBody } from './read-body.ts'
import { leaveSession, openSession, openStream, poll, streamSession, takeFrame } from './session-requests.ts'
import { SessionTable } from './session-table.ts'

export interface HttpOptions {
  /** The path of the endpoint, as clients see it. @default '/rt' */
  readonly path?: string
  /**
   * Pages of which origins may send requests. `'same'`: those of the host and scheme under which the client addressed
   * this server. A list: these too, each exactly as browsers send it (`https://app.example.com`); their pages may also
   * read the answers. `'any'`: no check, for servers whose clients never bring cookies. A request without Origin comes
   * from no browser and is let in unless it brings cookies. @default 'same'
   */
  readonly origins?: 'same' | 'any' | readonly string[]
  /**
   * Whether all clients come through a proxy which sets X-Forwarded-For, -Proto and -Host: then these say the client's
   * address and the server's own origin, each by its last entry. @default false
   */
  readonly trustProxy?: boolean
  /** Milliseconds a poll waits for frames before it is answered with none. @default 20_000 */
  readonly hold?: number
  /** Milliseconds without a poll or a stream after which a session ends. @default 30_000 */
  readonly sessionTimeout?: number
  /** Sessions and requests without one at once; further ones are answered 503. @default 20_000 */
  readonly maxSessions?: number
  /** The same for each address other than this machine's own. @default 200 */
  readonly maxSessionsPerAddress?: number
  /** New sessions and requests without one a second, and at once after a pause; further ones get 503. @default 200 */
  readonly acceptRate?: number
}

/** What a server knows of a request beside the request. */
export interface RequestContext {
  /** Where it comes from. Without it there is no limit for each address. */
  readonly remoteAddress?: string | undefined
}

/** Answers requests to an API. It never rejects. */
export interface HttpHandler {
  (request: Request, context?: RequestContext): Promise<Response>
  /**
   * Lets nobody in any more (503), says `goodbye` 4452 to the clients that are there, waits until they have been told,
   * and forgets those which have not within `timeout` milliseconds. Close the API before it or with it, so that its
   * replies go out first.
   */
  close(options?: { /** @default 30_000 */ readonly timeout?: number }): Promise<void>
}

/** Milliseconds for a body to come. */
const BODY_TIMEOUT = 10_000

/**
 * Makes the handler of an API: long polling, server-sent events, and actions without a session.
 * @throws TypeError if the API has no codec `json`, or an origin is not written as browsers send it.
 */
export function httpHandler(api: Api, options: HttpOptions = {}): HttpHandler {
  const service = new HttpService(api, options)
  const handle = (request: Request, context: RequestContext = {}): Promise<Response> => service.answer(request, context)
  return Object.assign(handle, {
    close: ({ timeout = 30_000 }: { readonly timeout?: number } = {}) => service.close(timeout),
  })
}

/** Finds out what a request is for, and whether it may ask. */
class HttpService {
  readonly #api: Api
  readonly #codec: Codec
  readonly #path: string
  readonly #policy: OriginPolicy
  readonly #table: SessionTable
  /** Sessions, and requests without one. */
  readonly #clients: AcceptGate
  /** Requests whose body is on its way. */
  readonly #bodies: AcceptGate

  constructor(api: Api, options: HttpOptions) {
    const codec = api.codecs.find(({ name }) => name === 'json')
    if (typeof codec?.encode({ type: 'ping' }) !== 'string')
      throw new TypeError("HTTP carries JSON: the API needs a codec with the name 'json' that writes text")
    this.#api = api
    this.#codec = codec
    this.#path = (options.path ?? '/rt').replace(/\/+$/, '')
    this.#policy = { origins: options.origins ?? 'same', trustProxy: options.trustProxy ?? false }
    assertOrigins(this.#policy)
    const { maxSessions = 20_000, maxSessionsPerAddress = 200, acceptRate = 200 } = options
    const limits = { clients: maxSessions, clientsPerAddress: maxSessionsPerAddress, rate: acceptRate }
    this.#clients = new AcceptGate(limits, api.clock)
    this.#bodies = new AcceptGate({ ...limits, rate: Infinity }, api.clock)
    const { hold = 20_000, sessionTimeout = 30_000 } = options
    this.#table = new SessionTable({ api, codec, gate: this.#clients, hold, sessionTimeout })
  }

  async answer(request: Request, { remoteAddress }: RequestContext): Promise<Response> {
    const response = await this.#route(request, remoteAddress ?? '').catch((error: unknown) => {
      if (!(error instanceof HttpRefusal)) this.#api.report(error, { during: 'http' })
      const refusal = error instanceof HttpRefusal ? error : refuse('internal', 'The server failed.')
      return (isEventSource(request) ? laterAnswer(refusal) : undefined) ?? refusalAnswer(refusal)
    })
    for (const [name, value] of Object.entries(crossOriginHeaders(request, this.#policy)))
      response.headers.set(name, value)
    return response
  }

  close(timeout: number): Promise<void> {
    return this.#table.close(timeout)
  }

  async #route(request: Request, remoteAddress: string): Promise<Response> {
    const { pathname, searchParams: query } = new URL(request.url)
    if (pathname !== this.#path && !pathname.startsWith(`${this.#path}/`)) throw nothingHere()
    const source = sourceOf(request)
    const problem = originProblem(source, this.#policy)
    if (problem !== undefined) throw refuse('forbidden', problem)
    if (this.#table.isClosed) throw refuseForNow('The server is shutting down.')
    if (request.method === 'OPTIONS') return preflight()
    const address = forwardedAddress(source, this.#policy) ?? remoteAddress
    const path = pathname.slice(this.#path.length + 1).split('/')
    const exchange: Exchange = { request, path, query, address, body: () => this.#body(request, address) }
    const [method, answer] = this.#endpoint(exchange)
    if (request.method === method) return await answer()
    throw new HttpRefusal(405, refuse('unsupported', `Expected ${method}.`).error, { allow: method })
  }

  /** The method that this path is asked by, and its answer. */
  #endpoint(exchange: Exchange): readonly ['GET' | 'POST', () => Promise<Response>] {
    const { path, query, request } = exchange
    const table = this.#table
    if (path.length > 1) return ['POST', () => this.#once(exchange)]
    switch (path[0]) {
      case '':
        return request.headers.has(httpHeaders.session)
          ? ['POST', () => takeFrame(table, exchange)]
          : ['POST', () => openSession(table, exchange)]
      case 'poll':
        return ['POST', () => poll(table, exchange)]
      case 'close':
        return ['POST', () => leaveSession(table, exchange)]
      case 'stream':
        return query.has('session')
          ? ['GET', () => streamSession(table, exchange)]
          : ['GET', () => openStream(table, exchange)]
      default:
        throw nothingHere()
    }
  }

  /** A request without a session takes the place of one while it lasts. */
  async #once(exchange: Exchange): Promise<Response> {
    if (this.#table.isClosing) throw refuseForNow('The server is shutting down.')
    return await within(this.#clients, exchange.address, () => runOneShot(this.#api, this.#codec, exchange))
  }

  #body(request: Request, address: string): Promise<string> {
    const limits = { size: this.#api.limits.frame, timeout: BODY_TIMEOUT }
    return within(this.#bodies, address, () => readBody(request, limits, this.#api.clock))
  }
}

/**
 * Runs something while it is counted.
 * @throws HttpRefusal 503 if there is no room.
 */
async function within<T>(gate: AcceptGate, address: string, run: () => Promise<T>): Promise<T> {
  const full = gate.admit(address)
  if (full !== undefined) throw refuseForNow(full)
  try {
    return await run()
  } finally {
    gate.leave(address)
  }
}

/** Whether a browser has opened a stream by itself: its page gets no say in how it deals with an error. */
function isEventSource({ method, headers, url }: Request): boolean {
  const accepts = headers.get('accept')?.includes('text/event-stream') === true
  return method === 'GET' && accepts && new URL(url).searchParams.has('subscribe')
}

function nothingHere(): HttpRefusal {
  return refuse('not_found', 'There is no endpoint here.')
}
