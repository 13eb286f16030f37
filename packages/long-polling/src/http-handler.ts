import {
  AcceptGate,
  type Api,
  type Codec,
  type Handshake,
  type OriginPolicy,
  assertOrigins,
  closeCodes,
  forwardedAddress,
  originProblem,
} from '@rtapi/core'
import {
  HttpRefusal,
  eventsAnswer,
  jsonAnswer,
  linesAnswer,
  refusalAnswer,
  refuse,
  refuseForNow,
  unknownSession,
} from './answers.ts'
import { refusalOfClose, whoIs } from './ask.ts'
import { Credentials, bearerToken, fingerprint, tokenOfHello } from './credentials.ts'
import { HttpSession, type SessionSurroundings } from './http-session.ts'
import { objectOf, runOneShot } from './one-shot.ts'
import { crossOriginHeaders, sourceOf } from './cross-origin.ts'
import { readBody } from './read-body.ts'
import { subscribeFrame } from './subscribe-frame.ts'

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

/** The headers of the protocol over HTTP. */
export const httpHeaders = {
  /** The session that a frame belongs to. */
  session: 'rtapi-session',
  /** The number of the client's frame, from 1. */
  sequence: 'rtapi-sequence',
  /** The last frame that the client has; with it, the answer to a frame brings those behind. */
  cursor: 'rtapi-cursor',
  /** A random text, chosen by the client, by which a repeated opening is known. */
  open: 'rtapi-open',
} as const

const BODY_TIMEOUT = 10_000
const RETURN_SPREAD = 5_000
const NONCE = /^[A-Za-z0-9_-]{16,64}$/
const NUMBER = /^\d{1,15}$/

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

/** A request on its way to its answer. */
interface Exchange {
  readonly request: Request
  /** Below the endpoint. */
  readonly path: readonly string[]
  readonly query: URLSearchParams
  readonly address: string
}

class HttpService implements SessionSurroundings {
  readonly clock: Api['clock']
  readonly limits: Api['limits']
  readonly codec: Codec
  readonly hold: number
  readonly sessionTimeout: number
  readonly #api: Api
  readonly #path: string
  readonly #policy: OriginPolicy
  readonly #gate: AcceptGate
  readonly #sessions = new Map<string, HttpSession>()
  /** Sessions by what they were opened with. */
  readonly #openings = new Map<string, HttpSession>()
  /** Sessions whose clients are still to be told of the end. */
  readonly #untold = new Set<HttpSession>()
  #stopSweep: (() => void) | undefined
  #closed: Promise<void> | undefined
  #isOver = false
  #onTold: (() => void) | undefined

  constructor(api: Api, options: HttpOptions) {
    const codec = api.codecs.find(({ name }) => name === 'json')
    if (codec === undefined) throw new TypeError("HTTP carries JSON: the API needs a codec with the name 'json'")
    this.#api = api
    this.clock = api.clock
    this.limits = api.limits
    this.codec = codec
    this.hold = options.hold ?? 20_000
    this.sessionTimeout = options.sessionTimeout ?? 30_000
    this.#path = (options.path ?? '/rt').replace(/\/+$/, '')
    this.#policy = { origins: options.origins ?? 'same', trustProxy: options.trustProxy ?? false }
    assertOrigins(this.#policy)
    const { maxSessions = 20_000, maxSessionsPerAddress = 200, acceptRate = 200 } = options
    this.#gate = new AcceptGate(
      { clients: maxSessions, clientsPerAddress: maxSessionsPerAddress, rate: acceptRate },
      this.clock,
    )
  }

  async answer(request: Request, { remoteAddress }: RequestContext): Promise<Response> {
    const response = await this.#route(request, remoteAddress ?? '').catch((error: unknown) => {
      if (error instanceof HttpRefusal) return refusalAnswer(error)
      this.#api.report(error, { during: 'http' })
      return refusalAnswer(refuse('internal', 'The server failed.'))
    })
    for (const [name, value] of Object.entries(crossOriginHeaders(request, this.#policy)))
      response.headers.set(name, value)
    return response
  }

  close(timeout: number): Promise<void> {
    return (this.#closed ??= this.#drain(timeout))
  }

  // ── Of the sessions ───────────────────────────────────────────────────────────────────────────────────────────────

  closed(session: HttpSession): void {
    this.#gate.leave(session.address)
    this.#untold.add(session)
  }

  told(session: HttpSession): void {
    this.#untold.delete(session)
    if (this.#untold.size === 0) this.#onTold?.()
  }

  gone(session: HttpSession): void {
    this.#sessions.delete(session.id)
    for (const [opening, { id }] of this.#openings) if (id === session.id) this.#openings.delete(opening)
    this.told(session)
    if (this.#sessions.size > 0) return
    this.#stopSweep?.()
    this.#stopSweep = undefined
  }

  // ── Requests ──────────────────────────────────────────────────────────────────────────────────────────────────────

  async #route(request: Request, remoteAddress: string): Promise<Response> {
    const { pathname, searchParams: query } = new URL(request.url)
    if (pathname !== this.#path && !pathname.startsWith(`${this.#path}/`)) throw nothingHere()
    const path = pathname.slice(this.#path.length + 1).split('/')
    const problem = originProblem(sourceOf(request), this.#policy)
    if (problem !== undefined) throw refuse('forbidden', problem)
    if (this.#isOver) throw refuseForNow('The server is shutting down.')
    const address = forwardedAddress(sourceOf(request), this.#policy) ?? remoteAddress
    const exchange = { request, path, query, address }
    if (request.method === 'OPTIONS') return preflight()
    const [first, ...more] = path
    if (more.length > 0) return await this.#only('POST', exchange, () => this.#once(exchange))
    switch (first) {
      case '':
        return await this.#only('POST', exchange, () =>
          request.headers.has(httpHeaders.session) ? this.#frame(exchange) : this.#open(exchange),
        )
      case 'poll':
        return await this.#only('POST', exchange, () => this.#poll(exchange))
      case 'close':
        return await this.#only('POST', exchange, () => this.#leave(exchange))
      case 'stream':
        return await this.#only('GET', exchange, () =>
          query.has('session') ? this.#stream(exchange) : this.#openStream(exchange),
        )
      default:
        throw nothingHere()
    }
  }

  #only(method: string, { request }: Exchange, answer: () => Promise<Response>): Promise<Response> {
    if (request.method === method) return answer()
    const { error } = refuse('unsupported', `Expected ${method}.`)
    throw new HttpRefusal(405, error, { allow: method })
  }

  /** The first frame of a client: makes a session, or finds the one that the same request has made before. */
  async #open(exchange: Exchange): Promise<Response> {
    const { request } = exchange
    const nonce = request.headers.get(httpHeaders.open)
    if (nonce !== null && !NONCE.test(nonce))
      throw refuse('bad_request', `Expected 16 to 64 of A-Z a-z 0-9 _ - in ${httpHeaders.open}.`)
    const frame = await this.#body(exchange)
    // Two clients with the same text, one of whom tries out what others may have chosen, share nothing.
    const token = tokenOfHello(frame) ?? ''
    const opening = nonce === null ? undefined : JSON.stringify([nonce, fingerprint(request.headers), token])
    const known = opening === undefined ? undefined : this.#openings.get(opening)
    const session = known ?? this.#create(exchange, 'long-polling')
    if (known === undefined) {
      if (opening !== undefined) this.#openings.set(opening, session)
      if (frame !== '') session.receive(frame)
    }
    const isCurrent = frame === '' || (await session.wait(0, request.signal))
    return linesAnswer(session.lines(0, { frames: isCurrent }))
  }

  /** A further frame of a client. */
  async #frame(exchange: Exchange): Promise<Response> {
    const { headers } = exchange.request
    const session = await this.#find(headers.get(httpHeaders.session), exchange)
    const sequence = numberOf(headers.get(httpHeaders.sequence), httpHeaders.sequence)
    const said = headers.get(httpHeaders.cursor)
    const cursor = said === null ? undefined : numberOf(said, httpHeaders.cursor)
    const frame = await this.#body(exchange)
    if (cursor !== undefined) session.acknowledge(cursor)
    session.take(sequence, frame)
    // Where somebody waits, the frames are theirs.
    return linesAnswer(session.lines(cursor ?? 0, { frames: cursor !== undefined && !session.isWatched }))
  }

  async #poll(exchange: Exchange): Promise<Response> {
    const { session: id, cursor, ...others } = objectOf(await this.#body(exchange), this.codec)
    if (typeof id !== 'string' || !isCursor(cursor) || Object.keys(others).length > 0)
      throw refuse('bad_request', 'Expected { session, cursor }: a text and a whole number.')
    const session = await this.#find(id, exchange)
    const isCurrent = await session.wait(cursor, exchange.request.signal)
    return linesAnswer(session.lines(cursor, { frames: isCurrent }))
  }

  async #leave(exchange: Exchange): Promise<Response> {
    const { session: id, ...others } = objectOf(await this.#body(exchange), this.codec)
    if (typeof id !== 'string' || Object.keys(others).length > 0)
      throw refuse('bad_request', 'Expected { session }: a text.')
    const session = await this.#find(id, exchange)
    session.leave(1000, 'client closed')
    return jsonAnswer(200, { session: id, closed: { code: 1000, reason: 'client closed' } })
  }

  /** The frames of a session as events. */
  async #stream(exchange: Exchange): Promise<Response> {
    const { request, query } = exchange
    const session = await this.#find(query.get('session'), exchange)
    const last = lastEvent(request)
    const cursor = last?.session === session.id ? last.cursor : numberOf(query.get('cursor') ?? '0', 'cursor')
    if (!session.canResume(cursor)) {
      // What the client lacks is no longer there: it has to begin anew.
      session.leave(closeCodes.slowConsumer, 'too far behind')
      throw unknownSession()
    }
    return eventsAnswer(session.stream(cursor, { answersPings: true }))
  }

  /** A session that a browser opens by itself, with its subscriptions in the query; or the one it had before. */
  async #openStream(exchange: Exchange): Promise<Response> {
    const { request, query } = exchange
    const streamQuery = query.toString()
    const last = lastEvent(request)
    const before = last === undefined ? undefined : await this.#find(last.session, exchange).catch(orNone)
    if (last !== undefined && before?.streamQuery === streamQuery) {
      if (before.canResume(last.cursor)) return eventsAnswer(before.stream(last.cursor, { answersPings: false }))
      before.leave(closeCodes.slowConsumer, 'too far behind')
    }
    const frame = subscribeFrame(query, this.codec, this.limits.frame)
    const session = this.#create(exchange, 'event-stream', streamQuery)
    session.receive(frame)
    // A browser comes back to a stream that ends, but not after an error.
    await session.wait(0, request.signal)
    if (session.user === undefined || request.signal.aborted) {
      session.leave(1001, 'client gone')
      throw refusalOfClose(session.end?.code ?? 0)
    }
    return eventsAnswer(session.stream(0, { answersPings: false }))
  }

  async #once(exchange: Exchange): Promise<Response> {
    const { request, path, address } = exchange
    const [resource = '', action = '', ...key] = path.map(decodeSegment)
    if (this.#closed !== undefined) throw refuseForNow('The server is shutting down.')
    const body = await this.#body(exchange)
    this.#enter(address)
    try {
      const handshake = this.#handshake(exchange, 'http')
      return await runOneShot(this.#api, this.codec, { resource, action, key, body, handshake, signal: request.signal })
    } finally {
      this.#gate.leave(address)
    }
  }

  // ── What they share ───────────────────────────────────────────────────────────────────────────────────────────────

  #body({ request }: Exchange): Promise<string> {
    return readBody(request, { size: this.limits.frame, timeout: BODY_TIMEOUT }, this.clock)
  }

  #enter(address: string): void {
    const full = this.#gate.admit(address)
    if (full !== undefined) throw refuseForNow(full)
  }

  #create(exchange: Exchange, transport: string, streamQuery?: string): HttpSession {
    if (this.#closed !== undefined) throw refuseForNow('The server is shutting down.')
    const { request, address } = exchange
    this.#enter(address)
    const credentials = new Credentials(request.headers, this.clock.monotonic())
    const session = new HttpSession(
      { address, credentials, ...(streamQuery === undefined ? {} : { streamQuery }) },
      this,
    )
    this.#sessions.set(session.id, session)
    session.attach(this.#api.accept(session, this.#handshake(exchange, transport), this.codec))
    this.#stopSweep ??= this.#startSweep()
    return session
  }

  /**
   * The session with this id, if the request is of its user.
   * @throws HttpRefusal 404, whether there is no such session or it is another's.
   */
  async #find(id: string | null, exchange: Exchange): Promise<HttpSession> {
    const session = id === null ? undefined : this.#sessions.get(id)
    if (session === undefined) throw unknownSession()
    const { headers, signal } = exchange.request
    const { credentials, user } = session
    const now = this.clock.monotonic()
    if (credentials.knows(headers, now)) return session
    if (user === undefined || session.end !== undefined) {
      if (credentials.knew(headers)) return session
      throw unknownSession()
    }
    const handshake = this.#handshake(exchange, 'long-polling')
    const found = await whoIs(this.#api, this.codec, handshake, signal).catch((refusal: unknown) => {
      throw refusal instanceof HttpRefusal && refusal.status === 401 ? unknownSession() : refusal
    })
    if (found.id !== user.id) throw unknownSession()
    credentials.learn(headers, now)
    return session
  }

  #handshake({ request, address }: Exchange, transport: string): Handshake {
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

  #startSweep(): () => void {
    return this.clock.setTimer(Math.min(1_000, this.sessionTimeout / 4, this.hold / 4), () => {
      const now = this.clock.monotonic()
      for (const session of this.#sessions.values()) session.sweep(now)
      this.#stopSweep = this.#sessions.size === 0 ? undefined : this.#startSweep()
    })
  }

  async #drain(timeout: number): Promise<void> {
    for (const session of this.#sessions.values()) {
      const code = closeCodes.draining
      const after = Math.floor(Math.random() * RETURN_SPREAD)
      const message = { type: 'goodbye', code, reason: 'draining', again: true, after } as const
      session.send({ data: this.codec.encode(message) })
      session.close(code, 'draining')
    }
    await new Promise<void>((resolve) => {
      if (this.#untold.size === 0) return resolve()
      const stopTimer = this.clock.setTimer(timeout, resolve)
      this.#onTold = () => {
        stopTimer()
        resolve()
      }
    })
    this.#isOver = true
    for (const session of this.#sessions.values()) session.leave(closeCodes.draining, 'draining')
  }
}

/** Headers that say nothing about a client; the others are kept as long as its session lives. */
const dropped = new Set([
  'accept-encoding',
  'cache-control',
  'connection',
  'content-length',
  'content-type',
  'pragma',
  'transfer-encoding',
  ...Object.values(httpHeaders),
])

function nothingHere(): HttpRefusal {
  return refuse('not_found', 'There is no endpoint here.')
}

/** What a browser asks before a page of another origin sends headers that forms cannot. */
function preflight(): Response {
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

function isCursor(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0
}

function numberOf(text: string | null, name: string): number {
  if (text === null || !NUMBER.test(text)) throw refuse('bad_request', `Expected a whole number in ${name}.`)
  return Number(text)
}

/** Where a browser was when its stream broke. */
function lastEvent({ headers }: Request): { readonly session: string; readonly cursor: number } | undefined {
  const [, session, cursor] = /^([0-9a-f]{32})\.(\d{1,15})$/.exec(headers.get('last-event-id') ?? '') ?? []
  return session === undefined ? undefined : { session, cursor: Number(cursor) }
}

function orNone(error: unknown): undefined {
  if (!(error instanceof HttpRefusal) || error.status !== 404) throw error
  return undefined
}

function decodeSegment(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    throw refuse('bad_request', 'The path cannot be read.')
  }
}
