import type { Codec } from './codec.ts'
import {
  type AuthMessage,
  type BrokenMessage,
  type ClientMessage,
  type CloseCode,
  type HelloMessage,
  type Limits,
  PROTOCOL_VERSION,
  type RequestMessage,
  RtapiError,
  closeCodes,
  comesBack,
  parseClientFrame,
} from './protocol.ts'
import { isWrite } from './requested-action.ts'
import type { Outcome } from './requests.ts'
import { type Clock, type Report, withTimeout } from './runtime.ts'
import { SendQueue } from './send-queue.ts'
import { type Authenticate, type Handshake, type Session, anonymous } from './session.ts'
import { type SubscriptionSurroundings, Subscriptions } from './subscriptions.ts'
import { TokenBucket } from './token-bucket.ts'
import type { SocketEvents, TransportSocket } from './transport-socket.ts'
import type { ResourceModel } from './resource-model.ts'

/** What connections need around them; one object for all. */
export interface ConnectionSurroundings extends SubscriptionSurroundings {
  readonly ready: Promise<void>
  readonly limits: Limits
  readonly clock: Clock
  readonly report: Report
  readonly authenticate: Authenticate
  /** Settles when every change emitted until now has been handed to the feeds' members. */
  changesSettled(): Promise<void>
  closed(connection: Connection): void
}

const BAD_MESSAGE_WINDOW = 10_000

/**
 * One client: `new` until its `hello`, `opening` while it is authenticated, `open`, `expired` between the end of its
 * session and new credentials, `closed`.
 */
export class Connection implements SocketEvents {
  readonly #socket: TransportSocket
  readonly #codec: Codec
  readonly #around: ConnectionSurroundings
  readonly #queue: SendQueue
  readonly #bucket: TokenBucket
  #handshake: Handshake
  #session: Session = anonymous
  #state: 'new' | 'opening' | 'open' | 'expired' | 'closed' = 'new'
  #subscriptions: Subscriptions | undefined
  /** Messages that came with `hello`, before the session was known. */
  #early: ClientMessage[] = []
  /** Ids of requests that have not been answered. */
  readonly #requests = new Set<string>()
  /** Writes run one after the other. */
  #writes: Promise<void> = Promise.resolve()
  /** Monotonic times. */
  readonly #openedAt: number
  #heardAt: number
  #pingedAt = 0
  #overflowedAt = 0
  #warned = false
  /** Milliseconds the session had before it when it began: a short one is warned half-way, not at once. */
  #lifetime = 0
  #bad: number[] = []

  constructor(socket: TransportSocket, handshake: Handshake, codec: Codec, around: ConnectionSurroundings) {
    this.#socket = socket
    this.#handshake = handshake
    this.#codec = codec
    this.#around = around
    this.#openedAt = around.clock.monotonic()
    this.#heardAt = this.#openedAt
    this.#queue = new SendQueue(socket, codec, around.limits)
    this.#bucket = new TokenBucket(around.limits.rate, around.limits.burst, this.#openedAt)
  }

  get session(): Session {
    return this.#session
  }

  get subscriptionCount(): number {
    return this.#subscriptions?.size ?? 0
  }

  // ── From the transport ────────────────────────────────────────────────────────────────────────────────────────────

  receive(data: string | Uint8Array): void {
    if (this.#state === 'closed') return
    this.#heardAt = this.#around.clock.monotonic()
    this.#pingedAt = 0
    if (data.length > this.#around.limits.frame) return this.goodbye(closeCodes.tooBig, 'frame too big')
    let messages: readonly (ClientMessage | BrokenMessage)[]
    try {
      messages = parseClientFrame(this.#decode(data), this.#around.limits)
    } catch (error) {
      return this.#refuse(
        undefined,
        error instanceof RtapiError ? error : new RtapiError('bad_request', 'the frame cannot be decoded'),
      )
    }
    for (const message of messages) {
      if (this.#isClosed()) return
      if (message.type === 'broken') this.#broken(message)
      else this.#handle(message)
    }
  }

  drained(): void {
    if (this.#state === 'closed') return
    this.#queue.pump(this.#around.clock.monotonic())
    if (this.#overflowedAt === 0 || !this.#queue.isEmpty || this.#socket.bufferedAmount > this.#around.limits.sendSoft)
      return
    this.#overflowedAt = 0
    this.#subscriptions?.recover()
  }

  closed(_code: number, _reason: string): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.#subscriptions?.close()
    this.#queue.clear()
    this.#early = []
    this.#around.closed(this)
  }

  // ── From the API ──────────────────────────────────────────────────────────────────────────────────────────────────

  /** Called again and again for all connections by one timer: whatever this connection waits for by time. */
  sweep(now: number): void {
    const { limits, clock } = this.#around
    if (this.#state === 'new' || this.#state === 'opening') {
      if (now - this.#openedAt >= limits.helloTimeout) this.goodbye(closeCodes.helloTimeout, 'no hello in time')
      return
    }
    this.#sweepHeartbeat(now)
    this.#sweepQueue(now)
    if (this.#session.expiresAt !== undefined && !this.#isClosed())
      this.#sweepExpiry(this.#session.expiresAt - clock.now(), this.#session.expiresAt)
  }

  /** Says why, then closes. */
  goodbye(code: CloseCode, reason: string, after?: number): void {
    if (this.#state === 'closed') return
    this.#queue.sendNow({
      type: 'goodbye',
      code,
      reason,
      again: comesBack(code),
      ...(after === undefined ? {} : { after }),
    })
    this.#socket.close(code, reason)
    this.closed(code, reason)
  }

  /** What this session may see of a resource may have changed. */
  refreshResource(model: ResourceModel): void {
    if (this.#state === 'open') this.#subscriptions?.refresh(this.#session, model)
  }

  /** Who this session is, and what it may see, may have changed: asks for everything anew. */
  refreshSession(): void {
    if (this.#state !== 'open' && this.#state !== 'expired') return
    this.#subscriptions?.pause()
    void this.#renew(this.#handshake)
  }

  // ── Messages ──────────────────────────────────────────────────────────────────────────────────────────────────────

  #decode(data: string | Uint8Array): unknown {
    return this.#codec.decode(data)
  }

  #handle(message: ClientMessage): void {
    switch (message.type) {
      case 'ping':
        if (this.#afford(1) === 0) this.#queue.send({ type: 'pong' })
        return
      case 'pong':
        return
      case 'hello':
        if (this.#state !== 'new')
          return this.#refuse(undefined, new RtapiError('bad_request', 'hello was said already'))
        this.#state = 'opening'
        void this.#hello(message)
        return
      default:
        if (this.#state === 'new') return this.goodbye(closeCodes.badFrame, 'hello comes first')
        if (this.#state !== 'opening') return this.#dispatch(message)
        if (this.#early.length >= this.#around.limits.batch + this.#around.limits.subscriptions)
          return this.goodbye(closeCodes.abuse, 'too many early messages')
        this.#early.push(message)
    }
  }

  #dispatch(message: ClientMessage): void {
    switch (message.type) {
      case 'request':
        return this.#request(message)
      case 'subscribe': {
        const { id } = message
        const refusal = this.#isTaken(id) ? taken(id) : this.#refusal(5)
        if (refusal === undefined) return this.#ensureSubscriptions().open(message)
        // `end` would end the subscription that has this id.
        if (refusal.code === 'conflict') this.#queue.send({ type: 'reply', id, ok: false, error: refusal.toWire() })
        else this.#queue.send({ type: 'end', id, error: refusal.toWire(), again: true })
        return
      }
      case 'unsubscribe':
        if (this.#subscriptions === undefined) this.#queue.send({ type: 'end', id: message.id })
        else this.#subscriptions.unsubscribe(message.id)
        return
      case 'auth':
        void this.#auth(message)
        return
      default:
    }
  }

  #request(message: RequestMessage): void {
    const { id } = message
    const { limits } = this.#around
    const write = isWrite(message)
    let refusal = this.#isTaken(id) ? taken(id) : this.#refusal(write ? 2 : 1)
    if (this.#requests.size >= limits.requestsInFlight) {
      refusal = new RtapiError('limit_exceeded', `at most ${limits.requestsInFlight} requests may be in flight`)
    }
    if (refusal !== undefined) {
      this.#queue.send({ type: 'reply', id, ok: false, error: refusal.toWire() })
      return
    }
    this.#requests.add(id)
    const run = (): Promise<void> => this.#answer(message, write)
    if (write) this.#writes = this.#writes.then(run)
    else void run()
  }

  async #answer(message: RequestMessage, write: boolean): Promise<void> {
    const { id } = message
    if (this.#isClosed()) return
    try {
      const outcome = await this.#around.requests.run(this.#session, message)
      const pending = write && !(await this.#ownViewsHaveIt())
      this.#reply(id, { ...outcome, ...(pending ? { pending } : {}) })
    } catch (error) {
      if (!(error instanceof RtapiError))
        this.#around.report(error, { during: 'request', resource: message.resource, connection: this.#socket.id })
      const told =
        error instanceof RtapiError ? error : new RtapiError('internal', 'The server failed.', { cause: error })
      if (this.#requests.delete(id)) this.#queue.send({ type: 'reply', id, ok: false, error: told.toWire() })
    }
  }

  #reply(id: string, outcome: Outcome): void {
    if (this.#requests.delete(id) && !this.#isClosed()) this.#queue.send({ type: 'reply', id, ok: true, ...outcome })
  }

  /** Waits until what was just written has gone out to this connection's views; `false` if that takes too long. */
  async #ownViewsHaveIt(): Promise<boolean> {
    const subscriptions = this.#subscriptions
    if (subscriptions === undefined || subscriptions.size === 0) return true
    const { clock, limits } = this.#around
    const shown = this.#around.changesSettled().then(() => subscriptions.settled())
    try {
      await withTimeout(clock, limits.ownWriteTimeout, shown, () => new Error('late'))
      return true
    } catch {
      return false
    }
  }

  #isTaken(id: string): boolean {
    return this.#requests.has(id) || this.#subscriptions?.has(id) === true
  }

  #ensureSubscriptions(): Subscriptions {
    this.#subscriptions ??= new Subscriptions(this.#queue, this.#session, this.#around)
    return this.#subscriptions
  }

  // ── Session ───────────────────────────────────────────────────────────────────────────────────────────────────────

  async #hello(message: HelloMessage): Promise<void> {
    if (!message.versions.includes(PROTOCOL_VERSION))
      return this.goodbye(closeCodes.version, `expected version ${PROTOCOL_VERSION}`)
    if (message.token !== undefined) this.#handshake = { ...this.#handshake, token: message.token }
    const session = await this.#authenticated(this.#handshake)
    if (session === undefined || this.#state !== 'opening') return
    this.#begin(session)
    const { limits } = this.#around
    this.#queue.send({
      type: 'welcome',
      version: PROTOCOL_VERSION,
      connection: this.#socket.id,
      ...(session.user === null ? {} : { user: session.user.id }),
      ...(session.expiresAt === undefined ? {} : { expiresAt: session.expiresAt }),
      heartbeat: { interval: limits.heartbeatInterval, timeout: limits.heartbeatTimeout },
      limits: { subscriptions: limits.subscriptions, frame: limits.frame, have: limits.have },
    })
    const early = this.#early
    this.#early = []
    for (const waiting of early) if (!this.#isClosed()) this.#dispatch(waiting)
  }

  #begin(session: Session): void {
    this.#session = session
    this.#state = 'open'
    this.#warned = false
    this.#lifetime = (session.expiresAt ?? 0) - this.#around.clock.now()
  }

  async #auth({ id, token }: AuthMessage): Promise<void> {
    const refusal = this.#isTaken(id) ? taken(id) : this.#refusal(5, 'expired')
    if (refusal !== undefined) {
      this.#queue.send({ type: 'reply', id, ok: false, error: refusal.toWire() })
      return
    }
    this.#requests.add(id)
    this.#subscriptions?.pause()
    await this.#renew({ ...this.#handshake, token })
    this.#reply(id, {})
  }

  /** Takes new credentials in place; another user, or none that is valid, ends the connection. */
  async #renew(handshake: Handshake): Promise<void> {
    const session = await this.#authenticated(handshake)
    if (session === undefined || this.#isClosed()) return
    if (session.user?.id !== this.#session.user?.id) return this.goodbye(closeCodes.sessionChanged, 'another user')
    this.#handshake = handshake
    this.#begin(session)
    this.#subscriptions?.resume(session)
  }

  /** The session of a client; `undefined` if it was refused, and is closed by now. */
  async #authenticated(handshake: Handshake): Promise<Session | undefined> {
    const { authenticate, clock, limits, report, ready } = this.#around
    try {
      await ready
      const work = (async (): Promise<Session | null> => authenticate(handshake))()
      const session = await withTimeout(
        clock,
        limits.ruleTimeout,
        work,
        () => new Error('authentication took too long'),
      )
      if (session?.expiresAt !== undefined && session.expiresAt <= clock.now())
        throw new RtapiError('unauthenticated', 'the credentials have expired')
      return session ?? anonymous
    } catch (error) {
      if (error instanceof RtapiError && error.code === 'unauthenticated') {
        this.goodbye(closeCodes.unauthenticated, 'not authenticated')
      } else {
        report(error, { during: 'authenticate', connection: this.#socket.id })
        this.goodbye(closeCodes.internal, 'authentication failed')
      }
      return undefined
    }
  }

  #sweepExpiry(left: number, expiresAt: number): void {
    const { limits } = this.#around
    if (left <= -limits.expiryGrace) return this.goodbye(closeCodes.sessionChanged, 'credentials expired')
    if (left <= 0 && this.#state === 'open') {
      this.#state = 'expired'
      this.#subscriptions?.pause()
    } else if (left <= Math.min(limits.expiryWarning, this.#lifetime / 2) && !this.#warned) {
      this.#warned = true
      this.#queue.send({ type: 'expiring', expiresAt })
    }
  }

  // ── Limits ────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Why a message cannot be served now, if so. */
  #refusal(units: number, except?: 'expired'): RtapiError | undefined {
    if (this.#state === 'expired' && except !== 'expired')
      return new RtapiError('unauthenticated', 'the session has expired: send auth with new credentials')
    const retryAfter = this.#afford(units)
    return retryAfter === 0 ? undefined : new RtapiError('rate_limited', 'too many requests', { retryAfter })
  }

  #afford(units: number): number {
    return this.#bucket.take(units, this.#around.clock.monotonic())
  }

  #broken({ id, of, error }: BrokenMessage): void {
    if (of === 'subscribe' && id !== undefined && !this.#isTaken(id)) {
      this.#queue.send({ type: 'end', id, error: error.toWire() })
      this.#countBad()
    } else this.#refuse(id, error)
  }

  #refuse(id: string | undefined, error: RtapiError): void {
    this.#queue.send({ type: 'reply', ...(id === undefined ? {} : { id }), ok: false, error: error.toWire() })
    this.#countBad()
  }

  #countBad(): void {
    const now = this.#around.clock.monotonic()
    this.#bad = this.#bad.filter((at) => now - at < BAD_MESSAGE_WINDOW)
    this.#bad.push(now)
    if (this.#bad.length >= this.#around.limits.badMessages) this.goodbye(closeCodes.badFrame, 'too many bad messages')
  }

  #sweepHeartbeat(now: number): void {
    const { heartbeatInterval, heartbeatTimeout } = this.#around.limits
    if (this.#pingedAt > 0) {
      if (now - this.#pingedAt >= heartbeatTimeout) this.goodbye(closeCodes.heartbeat, 'no sign of life')
    } else if (now - this.#heardAt >= heartbeatInterval) {
      this.#pingedAt = now
      this.#queue.send({ type: 'ping' })
    }
  }

  /** A client that does not read: first its changes are given up, then it is. */
  #sweepQueue(now: number): void {
    if (this.#isClosed()) return
    this.drained()
    if (this.#overflowedAt > 0) {
      if (now - this.#overflowedAt > this.#around.limits.sendTimeout)
        this.goodbye(closeCodes.slowConsumer, 'reading too slowly')
    } else if (this.#queue.isOverflowing(now)) {
      this.#overflowedAt = now
      this.#subscriptions?.overflow()
    }
  }

  // A method, so that the compiler does not take the state for unchanged after a call.
  #isClosed(): boolean {
    return this.#state === 'closed'
  }
}

function taken(id: string): RtapiError {
  return new RtapiError('conflict', `the id '${id}' is in use`)
}
