import type { Report } from '@rtapi/core'
import {
  type ClientMessage,
  type HelloMessage,
  RtapiError,
  type ServerMessage,
  type WelcomeMessage,
  closeCodes,
  defaultLimits,
} from '@rtapi/core/protocol'
import { Authentication } from './authentication.ts'
import { backoffDelay } from './backoff.ts'
import type { ClientClock } from './client-clock.ts'
import type { ClientTransport } from './client-transport.ts'
import { ConnectionStateStore } from './connection-state.ts'
import { Credentials, type TokenSource } from './credentials.ts'
import { type ContentMessage, Link, type LinkEnd } from './link.ts'
import type { LinkPhase } from './requests.ts'
import { SessionRenewal } from './session-renewal.ts'

export interface ConnectionLimits {
  /** Milliseconds until an attempt is given up: for the token, and again for the link with its `welcome`. */
  readonly connectTimeout: number
  /** Milliseconds: the shortest and the longest wait between attempts. */
  readonly backoffMinimum: number
  readonly backoffMaximum: number
  /** Milliseconds a connection must have lived for the waits to start over. */
  readonly stableAfter: number
}

export interface ConnectionOptions {
  readonly url: string
  readonly token: TokenSource
  /** At least one. The next one is tried after one that did not reach the server. */
  readonly transports: readonly ClientTransport[]
  readonly client: HelloMessage['client']
  readonly clock: ClientClock
  readonly random: () => number
  readonly limits: ConnectionLimits
  readonly report: Report
  readonly newId: () => string
}

/** Hears of the connection. */
export interface ConnectionEvents {
  /** Starts from `idle` or `closed`. */
  starting(): void
  /** A link is open: answers what to send right behind `hello`. */
  opened(): readonly ClientMessage[]
  /** The session is known. `another`: it is not that of the link before. */
  welcomed(session: { readonly another: boolean }): void
  received(message: ContentMessage): void
  settled(): void
  /** The link is gone. `another`: whoever was signed in no longer is. */
  lost(session: { readonly another: boolean }): void
  /** The connection is over until it is started again. `denied`: what was shown may no longer be. */
  closed(error: Error, access: { readonly denied: boolean }): void
  frame(direction: 'in' | 'out', messages: readonly (ClientMessage | ServerMessage)[]): void
}

/** Keeps a link to the server for as long as it is wanted: opens, listens, backs off, tries again, or gives up. */
export class Connection {
  readonly state: ConnectionStateStore
  readonly #options: ConnectionOptions
  readonly #events: ConnectionEvents
  readonly #credentials: Credentials
  readonly #authentication: Authentication
  readonly #renewal: SessionRenewal
  #link: Link | undefined
  #transport = 0
  /** Counts attempts; what belongs to an earlier one is out of date. */
  #attempt = 0
  /** Attempts that failed since the connection was last stable. */
  #failures = 0
  /** The server refused credentials, and they were asked for once more. */
  #refused = false
  #everLive = false
  #liveSince = 0
  #limits: Pick<WelcomeMessage['limits'], 'frame' | 'have'> = defaultLimits
  /** Who was welcomed last, unless it is known that the next one is another. */
  #session: { readonly user: string | number | undefined } | undefined
  #cancelWait: (() => void) | undefined
  #unlisten: (() => void) | undefined

  constructor(options: ConnectionOptions, events: ConnectionEvents) {
    this.#options = options
    this.#events = events
    this.state = new ConnectionStateStore(options.report)
    this.#credentials = new Credentials(options.token)
    this.#authentication = new Authentication(this.#credentials, {
      newId: options.newId,
      send: (messages) => this.send(messages),
      welcomed: () => this.phase === 'welcome',
    })
    this.#renewal = new SessionRenewal({
      renew: () => this.#authentication.authenticate(undefined),
      wait: (attempt, run) => this.wait({ attempt, least: 0 }, run),
      now: () => options.clock.monotonic(),
      problem: (error) => this.state.set({ error }),
    })
  }

  get phase(): LinkPhase {
    return this.#link === undefined || !this.#link.greeted
      ? 'none'
      : this.#link.welcome === undefined
        ? 'greeted'
        : 'welcome'
  }

  get limits(): Pick<WelcomeMessage['limits'], 'frame' | 'have'> {
    return this.#limits
  }

  /** Sends messages, if there is a link. */
  send(messages: readonly ClientMessage[]): void {
    this.#link?.send(messages)
  }

  /** Connects, if nothing has yet or the connection is closed. */
  start(): void {
    const { status } = this.state
    if (status !== 'idle' && status !== 'closed') return
    this.#failures = 0
    this.#refused = this.#everLive = false
    this.#unlisten = whenOnline(() => this.#online())
    this.#events.starting()
    this.#connect()
  }

  /** Closes the connection for its owner. */
  close(): void {
    const error = new RtapiError('unavailable', 'the client was closed')
    this.#link?.close(1000, 'closed')
    this.#giveUp(error, { denied: false })
    this.state.set({ error: undefined })
  }

  authenticate(source: TokenSource | undefined): Promise<void> {
    const done = this.#authentication.authenticate(source)
    this.start()
    return done
  }

  /** Calls `run` after the n-th wait of the back-off, but not before `least` milliseconds; returns its undo. */
  wait({ attempt, least }: { readonly attempt: number; readonly least: number }, run: () => void): () => void {
    return this.#options.clock.setTimer(Math.max(least, this.#backoff(attempt)), run)
  }

  #backoff(attempt: number): number {
    const { limits, random } = this.#options
    return backoffDelay(attempt, { minimum: limits.backoffMinimum, maximum: limits.backoffMaximum, random })
  }

  // ── One attempt ───────────────────────────────────────────────────────────────────────────────────────────────────

  #connect(): void {
    this.#cancelWait?.()
    const attempt = ++this.#attempt
    const { clock, limits } = this.#options
    this.state.set({ status: this.#everLive ? 'reconnecting' : 'connecting', retryIn: undefined })
    const failed = (error: Error): void => {
      if (attempt === this.#attempt) this.#retry(error, undefined)
    }
    this.#cancelWait = clock.setTimer(limits.connectTimeout, () => failed(new Error('the token did not come in time')))
    this.#authentication.ask(() => {
      if (attempt === this.#attempt) this.#open()
    }, failed)
  }

  #open(): void {
    this.#cancelWait?.()
    const { transports, url, client, clock, limits } = this.#options
    const transport = transports[this.#transport % transports.length]
    this.state.set({ transport: transport?.name })
    if (transport === undefined) return
    try {
      this.#link = new Link(
        transport,
        {
          url,
          clock,
          timeout: limits.connectTimeout,
          frameLimit: () => this.#limits.frame,
          hello: () => {
            this.#authentication.greeting()
            const { token } = this.#authentication
            return { ...(token === null ? {} : { token }), ...(client === undefined ? {} : { client }) }
          },
        },
        {
          opened: () => this.#events.opened(),
          welcomed: (welcome) => this.#welcomed(welcome),
          received: (message) => this.#received(message),
          settled: () => this.#events.settled(),
          ended: (end) => this.#ended(end),
          frame: (direction, messages) => this.#events.frame(direction, messages),
        },
      )
    } catch (error) {
      this.#giveUp(error instanceof Error ? error : new Error('the transport failed', { cause: error }), {
        denied: false,
      })
    }
  }

  #welcomed({ user, limits }: WelcomeMessage): void {
    const another = this.#session !== undefined && this.#session.user !== user
    this.#session = { user }
    this.#limits = limits
    this.#refused = false
    this.#everLive = true
    this.#liveSince = this.#options.clock.monotonic()
    this.state.set({ status: 'live', user, error: undefined })
    this.#authentication.welcomed()
    this.#events.welcomed({ another })
  }

  #received(message: ContentMessage): void {
    if (message.type === 'expiring') {
      if (this.#credentials.renewable) this.#renewal.expiring()
    } else if (message.type !== 'reply' || !this.#authentication.reply(message)) this.#events.received(message)
  }

  // ── The end of a link ─────────────────────────────────────────────────────────────────────────────────────────────

  #ended(end: LinkEnd): void {
    const another = end.code === closeCodes.sessionChanged
    const lived = this.#link?.welcome !== undefined
    const stable = lived && this.#options.clock.monotonic() - this.#liveSince >= this.#options.limits.stableAfter
    if (stable) this.#failures = 0
    this.#dropLink()
    if (another) this.#session = undefined
    this.#events.lost({ another })
    this.#transport = end.reached ? 0 : this.#transport + 1
    const { error } = end
    if (end.code === closeCodes.unauthenticated) this.#askOnceMore(error, { hurry: stable || !lived })
    else if (!end.again) this.#giveUp(error, { denied: deniedCodes.has(end.code) })
    else this.#retry(error, end.after ?? (another && this.#authentication.pending ? 0 : undefined))
  }

  #askOnceMore(error: Error, { hurry }: { readonly hurry: boolean }): void {
    const { changed } = this.#authentication
    if (!changed && (this.#refused || !this.#credentials.renewable)) return this.#giveUp(error, { denied: true })
    this.#refused = !changed
    this.#retry(error, hurry ? 0 : undefined)
  }

  #dropLink(): void {
    this.#link = undefined
    this.#renewal.stop()
    this.#authentication.lost()
  }

  #retry(error: Error, delay: number | undefined): void {
    this.#cancelWait?.()
    this.#attempt++
    const wait = delay ?? this.#backoff(this.#failures)
    this.#failures++
    this.state.set({ status: this.#everLive ? 'reconnecting' : 'connecting', error, retryIn: wait })
    if (wait === 0) this.#connect()
    else this.#cancelWait = this.#options.clock.setTimer(wait, () => this.#connect())
  }

  #giveUp(error: Error, access: { readonly denied: boolean }): void {
    this.#cancelWait?.()
    this.#attempt++
    this.#unlisten?.()
    this.#dropLink()
    if (access.denied) this.#session = undefined
    this.state.set({ status: 'closed', error, retryIn: undefined, user: undefined })
    this.#authentication.close(error)
    this.#events.closed(error, access)
  }

  /** The machine has a network again. */
  #online(): void {
    if (this.#link !== undefined) this.#link.probe()
    else if (this.state.getSnapshot().retryIn !== undefined) this.#connect()
  }
}

/** Close codes after which the client must show nothing more. */
const deniedCodes: ReadonlySet<number> = new Set([closeCodes.unauthenticated, closeCodes.forbidden, closeCodes.revoked])

/** Calls `run` whenever the browser says that it is online again; returns its undo. */
function whenOnline(run: () => void): () => void {
  if (typeof globalThis.addEventListener !== 'function') return () => undefined
  globalThis.addEventListener('online', run)
  return () => globalThis.removeEventListener('online', run)
}
