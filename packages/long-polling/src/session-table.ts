import { type AcceptGate, type Api, type Clock, type Codec, type Limits, closeCodes, comeBackAfter } from '@rtapi/core'
import { HttpRefusal, refuseForNow, unknownSession } from './answers.ts'
import { whoIs } from './ask.ts'
import { Credentials } from './credentials.ts'
import { type Exchange, handshakeOf } from './exchange.ts'
import { HttpSession, type SessionSurroundings } from './http-session.ts'

export interface SessionTableOptions {
  readonly api: Api
  readonly codec: Codec
  readonly gate: AcceptGate
  /** Milliseconds, as in `HttpOptions`. */
  readonly hold: number
  readonly sessionTimeout: number
}

/** How a session begins. */
export interface SessionOpening {
  /** What the API is told. */
  readonly transport: 'long-polling' | 'event-stream'
  /** By what a repetition of the same request is known. */
  readonly nonce?: string | undefined
  /** The query of a stream that a browser opens by itself. */
  readonly streamQuery?: string
}

/** The sessions of this process, from their opening until nobody can ask for them any more. */
export class SessionTable implements SessionSurroundings {
  readonly clock: Clock
  readonly limits: Limits
  readonly codec: Codec
  readonly hold: number
  readonly sessionTimeout: number
  readonly #api: Api
  readonly #gate: AcceptGate
  readonly #sessions = new Map<string, HttpSession>()
  readonly #byNonce = new Map<string, HttpSession>()
  /** Sessions whose clients are still to be told of the end. */
  readonly #untold = new Set<HttpSession>()
  #stopSweep: (() => void) | undefined
  #closing: Promise<void> | undefined
  #isClosed = false
  #onTold: (() => void) | undefined

  constructor({ api, codec, gate, hold, sessionTimeout }: SessionTableOptions) {
    this.clock = api.clock
    this.limits = api.limits
    this.codec = codec
    this.hold = hold
    this.sessionTimeout = sessionTimeout
    this.#api = api
    this.#gate = gate
  }

  /** Nobody is let in any more; the clients that are there are told. */
  get isClosing(): boolean {
    return this.#closing !== undefined
  }

  /** There is nobody left to be told. */
  get isClosed(): boolean {
    return this.#isClosed
  }

  /**
   * Lets a client in.
   * @throws HttpRefusal 503 if there is no room.
   */
  open(exchange: Exchange, { transport, nonce, streamQuery }: SessionOpening): HttpSession {
    if (this.isClosing) throw refuseForNow('The server is shutting down.')
    const { request, address } = exchange
    const full = this.#gate.admit(address)
    if (full !== undefined) throw refuseForNow(full)
    const credentials = new Credentials(request.headers, this.clock.monotonic())
    const session = new HttpSession({ address, credentials, nonce, streamQuery }, this)
    this.#sessions.set(session.id, session)
    if (nonce !== undefined) this.#byNonce.set(nonce, session)
    this.#stopSweep ??= this.#startSweep()
    session.attach(this.#api.accept(session, handshakeOf(exchange, transport), this.codec))
    return session
  }

  /** The session that the same request has opened before. */
  openedBy(nonce: string): HttpSession | undefined {
    return this.#byNonce.get(nonce)
  }

  /**
   * The session with this id, if the request is of its user.
   * @throws HttpRefusal 404, whether there is no such session or it is another's; also for one new credential after the
   * other.
   */
  async find(id: string | null, exchange: Exchange): Promise<HttpSession> {
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
    if (!credentials.mayAsk(now)) throw unknownSession()
    const asked = whoIs(this.#api, this.codec, handshakeOf(exchange, 'long-polling'), signal)
    const found = await asked.catch((refusal: unknown) => {
      throw refusal instanceof HttpRefusal && refusal.status === 401 ? unknownSession() : refusal
    })
    if (found.id !== user.id) throw unknownSession()
    credentials.learn(headers, now)
    return session
  }

  /** Tells all clients to come back later; settles when they have been told, or have not within the time. */
  close(timeout: number): Promise<void> {
    return (this.#closing ??= this.#drain(timeout))
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
    if (session.nonce !== undefined) this.#byNonce.delete(session.nonce)
    this.told(session)
    if (this.#sessions.size > 0) return
    this.#stopSweep?.()
    this.#stopSweep = undefined
  }

  // ── Inside ────────────────────────────────────────────────────────────────────────────────────────────────────────

  #startSweep(): () => void {
    return this.clock.setTimer(Math.min(1_000, this.sessionTimeout / 4, this.hold / 4), () => {
      const now = this.clock.monotonic()
      for (const session of this.#sessions.values()) session.sweep(now)
      this.#stopSweep = this.#sessions.size === 0 ? undefined : this.#startSweep()
    })
  }

  async #drain(timeout: number): Promise<void> {
    for (const session of this.#sessions.values()) session.goodbye(closeCodes.draining, 'draining', comeBackAfter())
    await new Promise<void>((resolve) => {
      if (this.#untold.size === 0) return resolve()
      const stopTimer = this.clock.setTimer(timeout, resolve)
      this.#onTold = () => {
        stopTimer()
        resolve()
      }
    })
    this.#isClosed = true
    for (const session of this.#sessions.values()) session.leave(closeCodes.draining, 'draining')
  }
}
