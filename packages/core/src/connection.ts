import { Allowance } from './allowance.ts'
import type { SessionInfo } from './api.ts'
import { byteLength } from './byte-length.ts'
import type { Codec } from './codec.ts'
import { ConnectionSession, type SessionHolder, type SessionSurroundings, welcome } from './connection-session.ts'
import {
  type AuthMessage,
  type BrokenMessage,
  type ClientMessage,
  type CloseCode,
  type HelloMessage,
  PROTOCOL_VERSION,
  type RequestMessage,
  RtapiError,
  closeCodes,
  comesBack,
  parseClientFrame,
  printable,
} from './protocol.ts'
import { Heartbeat } from './heartbeat.ts'
import { OpenRequests, type RequestHolder, sessionOver } from './open-requests.ts'
import type { Pace } from './pace.ts'
import { isWrite } from './requested-action.ts'
import { SendQueue } from './send-queue.ts'
import type { Handshake, Session } from './session.ts'
import { type SubscriptionSurroundings, Subscriptions } from './subscriptions.ts'
import type { SocketEvents, TransportSocket } from './transport-socket.ts'
import type { ResourceModel } from './resource-model.ts'

/** What connections need around them; one object for all. */
export interface ConnectionSurroundings extends SubscriptionSurroundings, SessionSurroundings {
  /** Its user has been found out. Answers whether one more connection of theirs may stay. */
  identified(connection: Connection): boolean
  /** Another session of the same user is on it. */
  renewed(connection: Connection): void
  /**
   * Settles when every change emitted until now has been handed to the feeds' members; `undefined` if that says nothing
   * of writes that have just been made.
   */
  changesSettled(): Promise<void> | undefined
  closed(connection: Connection): void
  readonly pace: Pace
  /** Monotonic milliseconds, without those for which this process stood still: by them silences are measured. */
  patience(): number
  /** More is asked of this process than it can do. */
  isBehind(): boolean
  /** Something was asked for that is not there. Answers the milliseconds by which to delay the answer. */
  missed(connection: Connection): number
}

/**
 * One client: `new` until its `hello`, `opening` while it is authenticated, `open`, `closed`.
 */
export class Connection implements SocketEvents, SessionHolder, RequestHolder {
  readonly #socket: TransportSocket
  readonly #codec: Codec
  readonly #around: ConnectionSurroundings
  readonly #queue: SendQueue
  readonly #allowance: Allowance
  readonly #session: ConnectionSession
  readonly #handshake: Handshake
  /** Milliseconds since 1970. */
  readonly #openedOn: number
  #state: 'new' | 'opening' | 'open' | 'closed' = 'new'
  #subscriptions: Subscriptions | undefined
  /** Messages that came with `hello`, before the session was known. */
  #early: ClientMessage[] = []
  readonly #requests: OpenRequests
  readonly #heartbeat: Heartbeat
  /** Monotonic times. */
  readonly #openedAt: number
  readonly #helloFrom: number
  #overflowedAt = 0

  constructor(socket: TransportSocket, handshake: Handshake, codec: Codec, around: ConnectionSurroundings) {
    const { clock, limits } = around
    this.#socket = socket
    this.#codec = codec
    this.#around = around
    this.#handshake = handshake
    this.#openedOn = clock.now()
    this.#openedAt = clock.monotonic()
    this.#helloFrom = around.patience()
    this.#heartbeat = new Heartbeat(limits, this.#helloFrom)
    this.#queue = new SendQueue(socket, codec, limits, around.pace)
    this.#allowance = new Allowance(limits, this.#openedAt)
    this.#session = new ConnectionSession(this, handshake, around)
    this.#requests = new OpenRequests(this, this.#session, this.#queue, around)
  }

  get id(): string {
    return this.#socket.id
  }

  /** Monotonic milliseconds. */
  get openedAt(): number {
    return this.#openedAt
  }

  get session(): Session {
    return this.#session.current
  }

  /** Who this is has not been found out yet. */
  get isOpening(): boolean {
    return this.#state === 'opening'
  }

  /** By what reports name this connection. */
  get whose(): { readonly connection: string; readonly user?: string | number } {
    const { user } = this.session
    return { connection: this.id, ...(user === null ? {} : { user: user.id }) }
  }

  get isClosed(): boolean {
    return this.#state === 'closed'
  }

  /** What operators may see of it, once it is known who it is. */
  get info(): Omit<SessionInfo, 'process'> | undefined {
    if (this.#state !== 'open') return undefined
    const { user, id, expiresAt } = this.session
    const { transport, remoteAddress } = this.#handshake
    return {
      connection: this.id,
      user: user === null ? null : user.id,
      ...(id === undefined ? {} : { session: id }),
      transport,
      ...(remoteAddress === undefined ? {} : { remoteAddress }),
      openedAt: this.#openedOn,
      ...(expiresAt === undefined ? {} : { expiresAt }),
      subscriptions: this.subscriptionCount,
    }
  }

  /** Bytes that wait to be sent. */
  get heldBytes(): number {
    return this.#queue.heldBytes
  }

  get timers(): number {
    return this.#requests.timers
  }

  get subscriptionCount(): number {
    return this.#subscriptions?.size ?? 0
  }

  // ── From the transport ────────────────────────────────────────────────────────────────────────────────────────────

  receive(data: string | Uint8Array): void {
    if (this.#state === 'closed') return
    this.#heartbeat.heard(this.#around.patience())
    const { frame } = this.#around.limits
    // No character takes more than three bytes, so that most frames need not be measured.
    if (data.length > frame || (data.length * 3 > frame && byteLength(data) > frame))
      return this.goodbye(closeCodes.tooBig, 'frame too big')
    let messages: readonly (ClientMessage | BrokenMessage)[]
    try {
      messages = parseClientFrame(this.#codec.decode(data), this.#around.limits)
    } catch (error) {
      return this.#refuse(
        undefined,
        error instanceof RtapiError ? error : new RtapiError('bad_request', 'the frame cannot be decoded'),
      )
    }
    for (const message of messages) {
      if (this.isClosed) return
      if (message.type === 'broken') this.#broken(message)
      else this.#handle(message)
    }
  }

  drained(): void {
    if (this.#state === 'closed') return
    this.#queue.pump()
    if (this.#overflowedAt === 0 || !this.#queue.isEmpty || this.#socket.bufferedAmount > this.#around.limits.sendSoft)
      return
    this.#overflowedAt = 0
    this.#subscriptions?.recover()
  }

  closed(code: number, reason: string): void {
    if (this.#state === 'closed') return
    const { diagnose, clock } = this.#around
    const duration = clock.monotonic() - this.#openedAt
    diagnose?.({ type: 'connection.closed', ...this.whose, code, reason: printable(reason), duration })
    this.#state = 'closed'
    this.#requests.close()
    this.#subscriptions?.close()
    this.#queue.clear()
    this.#early = []
    this.#around.closed(this)
  }

  // ── From the API ──────────────────────────────────────────────────────────────────────────────────────────────────

  /** Called again and again for all connections by one timer: whatever this connection waits for by time. */
  sweep(now: number): void {
    const patience = this.#around.patience()
    if (this.#state === 'new' || this.#state === 'opening') {
      if (patience - this.#helloFrom >= this.#around.limits.helloTimeout)
        this.goodbye(closeCodes.helloTimeout, 'no hello in time')
      return
    }
    const next = this.#heartbeat.look(patience)
    if (next === 'ask') this.#queue.send({ type: 'ping' })
    else if (next === 'give up') this.goodbye(closeCodes.heartbeat, 'no sign of life')
    this.#sweepQueue(now)
    this.#session.sweep()
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
    this.#subscriptions?.refresh(this.session, model)
  }

  /** Looks whether what the session may see of these resources is still the same. `false`: it cannot be found out now. */
  review(models: Iterable<ResourceModel>): Promise<boolean> {
    return this.#subscriptions?.review(models) ?? Promise.resolve(true)
  }

  /** Settles when neither who this is nor what they may see is being asked anew. */
  async settled(): Promise<void> {
    await this.#session.settled()
    await this.#subscriptions?.settled()
  }

  /** Who this session is, and what it may see, may have changed: asks for everything anew. */
  refreshSession(): void {
    if (this.#state === 'opening' || this.#state === 'open') void this.#session.ask()
  }

  // ── From the session ──────────────────────────────────────────────────────────────────────────────────────────────

  pause(): void {
    this.#subscriptions?.pause()
  }

  resume(session: Session): void {
    if (this.#state === 'open') this.#around.renewed(this)
    this.#subscriptions?.resume(session)
  }

  warn(expiresAt: number): void {
    this.#queue.send({ type: 'expiring', expiresAt })
  }

  // ── From requests ─────────────────────────────────────────────────────────────────────────────────────────────────

  missed(): number {
    return this.#around.missed(this)
  }

  viewsSettled(): Promise<void> | 'late' | undefined {
    const subscriptions = this.#subscriptions
    if (subscriptions === undefined || subscriptions.size === 0) return undefined
    return this.#around.changesSettled()?.then(() => subscriptions.settled()) ?? 'late'
  }

  // ── Messages ──────────────────────────────────────────────────────────────────────────────────────────────────────

  #handle(message: ClientMessage): void {
    switch (message.type) {
      case 'ping':
        if (this.#afford(1) === 0) this.#queue.send({ type: 'pong' })
        return
      case 'pong':
        this.#afford(1)
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
        if (this.#isTaken(id)) return this.#refuseTaken(id)
        const refusal = this.#refusal(5)
        if (refusal === undefined) this.#ensureSubscriptions().open(message)
        else {
          this.#around.diagnose?.({ type: 'message.refused', ...this.whose, code: refusal.code })
          this.#queue.send({ type: 'end', id, error: refusal.toWire(), again: true })
        }
        return
      }
      case 'unsubscribe':
        // It is always done, since what it ends costs more than it does.
        this.#afford(1)
        if (this.isClosed) return
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
    if (this.#isTaken(id)) return this.#refuseTaken(id)
    let refusal = this.#refusal(isWrite(message) ? 2 : 1)
    if (this.#requests.size >= limits.requestsInFlight)
      refusal ??= new RtapiError('limit_exceeded', `at most ${limits.requestsInFlight} requests may be in flight`)
    if (refusal !== undefined) {
      this.#around.diagnose?.({ type: 'message.refused', ...this.whose, code: refusal.code })
      this.#queue.send({ type: 'reply', id, ok: false, error: refusal.toWire() })
      return
    }
    this.#requests.run(message)
  }

  #isTaken(id: string): boolean {
    return this.#requests.has(id) || this.#subscriptions?.has(id) === true
  }

  /** One id has one reply: where it is still to come, the refusal of the second request names the id in words alone. */
  #refuseTaken(id: string): void {
    this.#afford(1)
    const error = new RtapiError('conflict', `the id '${id}' is in use`).toWire()
    this.#queue.send({ type: 'reply', ...(this.#requests.has(id) ? {} : { id }), ok: false, error })
  }

  #ensureSubscriptions(): Subscriptions {
    if (this.#subscriptions === undefined) {
      this.#subscriptions = new Subscriptions(this.#queue, this.session, this.#around)
      if (this.#session.isPaused) this.#subscriptions.pause()
    }
    return this.#subscriptions
  }

  // ── Session ───────────────────────────────────────────────────────────────────────────────────────────────────────

  async #hello(message: HelloMessage): Promise<void> {
    if (!message.versions.includes(PROTOCOL_VERSION))
      return this.goodbye(closeCodes.version, `expected version ${PROTOCOL_VERSION}`)
    await this.#session.ask(message.token)
    if (this.#state !== 'opening') return
    if (!this.#around.identified(this)) return this.goodbye(closeCodes.abuse, 'too many connections of a user')
    this.#state = 'open'
    this.#opened()
    this.#queue.send(welcome(this.id, this.session, this.#around.limits))
    const early = this.#early
    this.#early = []
    for (const waiting of early) if (!this.isClosed) this.#dispatch(waiting)
  }

  #opened(): void {
    const { id } = this.session
    const session = id === undefined ? {} : { session: id }
    this.#around.diagnose?.({
      type: 'connection.opened',
      ...this.whose,
      transport: this.#handshake.transport,
      ...session,
    })
  }

  async #auth({ id, token }: AuthMessage): Promise<void> {
    if (this.#isTaken(id)) return this.#refuseTaken(id)
    const retryAfter = this.#afford(5)
    if (retryAfter > 0) {
      this.#queue.send({ type: 'reply', id, ok: false, error: tooMany(retryAfter).toWire() })
      return
    }
    this.#requests.add(id)
    await this.#session.ask(token)
    this.#requests.reply(id, { type: 'reply', id, ok: true })
  }

  // ── Limits ────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Why a message cannot be served now, if so. */
  #refusal(units: number): RtapiError | undefined {
    if (this.#session.isOver) return sessionOver()
    const retryAfter = this.#afford(units)
    if (retryAfter > 0) return tooMany(retryAfter)
    if (this.#around.isBehind())
      return new RtapiError('unavailable', 'the server has too much to do', { retryAfter: 1_000 })
    // Replies wait until they are read, and so no more are made than can wait.
    return this.#queue.isCrowded ? tooMany(1_000) : undefined
  }

  /** Milliseconds until there is room for so much more; 0: there is, and it has been taken. */
  #afford(units: number): number {
    const retryAfter = this.#allowance.take(units, this.#around.clock.monotonic())
    if (retryAfter !== 'abused') return retryAfter
    this.goodbye(closeCodes.abuse, 'too many messages')
    return Number.POSITIVE_INFINITY
  }

  #broken({ id, of, error }: BrokenMessage): void {
    this.#around.diagnose?.({ type: 'message.refused', ...this.whose, code: error.code })
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
    if (this.#allowance.countBad(this.#around.clock.monotonic()))
      this.goodbye(closeCodes.badFrame, 'too many bad messages')
  }

  /** A client that does not read: first its changes are given up, then it is. */
  #sweepQueue(now: number): void {
    if (this.isClosed || (this.#queue.isIdle && this.#overflowedAt === 0)) return
    this.drained()
    if (this.#overflowedAt > 0 && now - this.#overflowedAt > this.#around.limits.sendTimeout) {
      this.goodbye(closeCodes.slowConsumer, 'reading too slowly')
    } else if (this.#queue.isOverflowing(now)) {
      if (this.#overflowedAt === 0) this.#overflowedAt = now
      this.#subscriptions?.overflow()
    }
  }
}

function tooMany(retryAfter: number): RtapiError {
  return new RtapiError('rate_limited', 'too many requests', { retryAfter })
}
