import {
  type CloseCode,
  type Limits,
  PROTOCOL_VERSION,
  RtapiError,
  type WelcomeMessage,
  closeCodes,
} from './protocol.ts'
import { type Clock, type Report, withTimeout } from './runtime.ts'
import { type Authenticate, type Handshake, type Session, anonymous } from './session.ts'

/** What is needed to find out who a client is. */
export interface SessionSurroundings {
  /** Settles when the API has started. */
  readonly ready: Promise<void>
  readonly authenticate: Authenticate
  readonly clock: Clock
  readonly limits: Limits
  readonly report: Report
}

/** What a session tells its connection. */
export interface SessionHolder {
  readonly id: string
  readonly isClosed: boolean
  /** Who is on the connection, or what they may do, is in question: nothing goes out until `resume`. */
  pause(): void
  resume(session: Session): void
  /** The session will end soon. */
  warn(expiresAt: number): void
  goodbye(code: CloseCode, reason: string): void
}

/** Who is on one connection: found out at its beginning, and again whenever that may have changed, until it expires. */
export class ConnectionSession {
  readonly #holder: SessionHolder
  readonly #around: SessionSurroundings
  #handshake: Handshake
  #session: Session | undefined
  #isPaused = false
  #isExpired = false
  #warned = false
  /** Milliseconds the session had before it when it began: a short one is warned half-way, not at once. */
  #lifetime = 0
  /** Counts the questions: an answer to an earlier one is void. */
  #turn = 0
  #asking: Promise<void> | undefined

  constructor(holder: SessionHolder, handshake: Handshake, around: SessionSurroundings) {
    this.#holder = holder
    this.#handshake = handshake
    this.#around = around
  }

  get current(): Session {
    return this.#session ?? anonymous
  }

  /** Nothing may go out: the holder was told to pause, and not yet to resume. */
  get isPaused(): boolean {
    return this.#isPaused
  }

  /** The session has ended, and no new credentials are being looked at. */
  get isOver(): boolean {
    return this.#isExpired && this.#asking === undefined
  }

  /**
   * Asks who the client is, now and with these credentials if new ones are given: what was asked before is void. Settles
   * when it is known, or the connection has been closed: for credentials that are none, or are those of another user.
   */
  async ask(token?: string | null): Promise<void> {
    if (token !== undefined) this.#handshake = { ...this.#handshake, token }
    if (this.#session !== undefined) this.#pause()
    const asking = this.#find(++this.#turn, token !== undefined)
    this.#asking = asking
    await this.settled()
  }

  /** Settles when nothing is being asked. */
  async settled(): Promise<void> {
    for (let asking = this.#asking; asking !== undefined; asking = this.#asking) {
      await asking
      if (this.#asking === asking) this.#asking = undefined
    }
  }

  /** Looks at the time: warns before the session expires, pauses when it has, and closes when nothing follows. */
  sweep(): void {
    const expiresAt = this.#session?.expiresAt
    if (expiresAt === undefined || this.#holder.isClosed) return
    const { clock, limits } = this.#around
    const left = expiresAt - clock.now()
    if (left <= -limits.expiryGrace) {
      this.#holder.goodbye(closeCodes.sessionChanged, 'credentials expired')
    } else if (left <= 0) {
      if (this.#isExpired) return
      this.#isExpired = true
      this.#pause()
    } else if (left <= Math.min(limits.expiryWarning, this.#lifetime / 2) && !this.#warned) {
      this.#warned = true
      this.#holder.warn(expiresAt)
    }
  }

  #pause(): void {
    this.#isPaused = true
    this.#holder.pause()
  }

  async #find(turn: number, isNew: boolean): Promise<void> {
    const { clock } = this.#around
    const session = await this.#authenticated(isNew)
    if (session === undefined || this.#holder.isClosed || turn !== this.#turn) return
    if (this.#session !== undefined && session.user?.id !== this.#session.user?.id)
      return this.#holder.goodbye(closeCodes.sessionChanged, 'another user')
    this.#session = session
    this.#isPaused = false
    this.#isExpired = false
    this.#warned = false
    this.#lifetime = (session.expiresAt ?? 0) - clock.now()
    this.#holder.resume(session)
  }

  /** The session of the client; `undefined` if it was refused, and the connection closed, or is over as it was. */
  async #authenticated(isNew: boolean): Promise<Session | undefined> {
    const { authenticate, clock, limits, report, ready } = this.#around
    try {
      await ready
      const work = (async (): Promise<Session | null> => authenticate(this.#handshake))()
      const late = (): Error => new Error('authentication took too long')
      const session = await withTimeout(clock, limits.ruleTimeout, work, late)
      if (session?.expiresAt === undefined || session.expiresAt > clock.now()) return session ?? anonymous
      // Who has expired waits for new credentials: that the old ones are none any more is no news.
      if (this.#isExpired && !isNew) return undefined
      throw new RtapiError('unauthenticated', 'the credentials have expired')
    } catch (error) {
      if (error instanceof RtapiError && error.code === 'unauthenticated') {
        this.#holder.goodbye(closeCodes.unauthenticated, 'not authenticated')
      } else {
        report(error, { during: 'authenticate', connection: this.#holder.id })
        this.#holder.goodbye(closeCodes.internal, 'authentication failed')
      }
      return undefined
    }
  }
}

/** What a client is told at the beginning. */
export function welcome(connection: string, { user, expiresAt }: Session, limits: Limits): WelcomeMessage {
  return {
    type: 'welcome',
    version: PROTOCOL_VERSION,
    connection,
    ...(user === null ? {} : { user: user.id }),
    ...(expiresAt === undefined ? {} : { expiresAt }),
    heartbeat: { interval: limits.heartbeatInterval, timeout: limits.heartbeatTimeout },
    limits: { subscriptions: limits.subscriptions, frame: limits.frame, have: limits.have },
  }
}
