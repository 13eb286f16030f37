import {
  type ClientMessage,
  type HelloMessage,
  RtapiError,
  type WelcomeMessage,
  closeCodes,
  defaultLimits,
} from '@rtapi/core/protocol'
import { Authentication } from './authentication.ts'
import { backoffDelay } from './backoff.ts'
import type { ClientTransport } from './client-transport.ts'
import type { ConnectionEvents, ConnectionOptions } from './connection-options.ts'
import { ConnectionStateStore } from './connection-state.ts'
import { Credentials, type TokenSource } from './credentials.ts'
import { frameBytes } from './frames.ts'
import { type ContentMessage, Link, type LinkEnd } from './link.ts'
import { Move } from './move.ts'
import type { LinkPhase } from './requests.ts'
import { SessionRenewal } from './session-renewal.ts'
import { TransportChoice } from './transport-choice.ts'
import { Upgrade } from './upgrade.ts'
import { whenOnline } from './when-online.ts'

/** Keeps a link to the server for as long as it is wanted: opens, listens, backs off, tries again, or gives up. */
export class Connection {
  readonly state: ConnectionStateStore
  readonly #options: ConnectionOptions
  readonly #events: ConnectionEvents
  readonly #credentials: Credentials
  readonly #authentication: Authentication
  readonly #renewal: SessionRenewal
  readonly #choice: TransportChoice
  readonly #upgrade: Upgrade
  readonly #move: Move
  /** The link in use. */
  #link: Link | undefined
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
    const { clock, random, limits, traffic } = options
    this.#options = options
    this.#events = events
    this.#choice = new TransportChoice(options.transports)
    this.state = new ConnectionStateStore(options.report)
    this.#credentials = new Credentials(options.token)
    this.#authentication = new Authentication(this.#credentials, {
      newId: options.newId,
      send: (messages) => this.send(messages),
      welcomed: () => this.phase === 'welcome',
      taken: (token) => {
        if (this.#link !== undefined) this.#link.token = token
      },
    })
    this.#renewal = new SessionRenewal({
      renew: () => this.#authenticate(undefined),
      wait: (attempt, run) => this.wait({ attempt, least: 0 }, run),
      now: () => clock.monotonic(),
      problem: (error) => this.state.set({ error }),
    })
    this.#move = new Move({
      clock,
      traffic,
      authenticating: () => this.#authentication.pending,
      use: (link) => this.#use(link),
      abandoned: () => this.#upgrade.watch(this.#choice.better),
    })
    this.#upgrade = new Upgrade({
      clock,
      random,
      limits,
      ask: (done, failed) => this.#authentication.ask(done, failed),
      open: (transport, token) => this.#createLink(transport, { timeout: limits.connectTimeout, token: () => token }),
      found: (link) => this.#found(link),
      failed: (transport, error) => {
        this.#choice.probeFailed(transport, error)
        this.state.set({ fallback: this.#choice.fallback })
      },
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

  /** Bytes of a message on the link in use. */
  bytes(message: ClientMessage): number {
    return frameBytes(this.#link?.codec ?? this.#options.codec, message)
  }

  /** Something was answered or shown. */
  advance(): void {
    this.#move.check()
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
    const done = this.#authenticate(source)
    this.start()
    return done
  }

  /** A link that was opened with the credentials of before is of no use any more. */
  #authenticate(source: TokenSource | undefined): Promise<void> {
    this.#upgrade.restart()
    this.#move.abandon()
    return this.#authentication.authenticate(source)
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
    this.#authentication.ask((token) => {
      if (attempt !== this.#attempt) return
      this.#authentication.token = token
      this.#open()
    }, failed)
  }

  #open(): void {
    this.#cancelWait?.()
    const { connectTimeout, fallbackTimeout } = this.#options.limits
    const timeout = this.#choice.hasNext ? Math.min(fallbackTimeout, connectTimeout) : connectTimeout
    const token = (): string | null => {
      this.#authentication.greeting()
      return this.#authentication.token
    }
    try {
      const { current } = this.#choice
      this.state.set({ transport: current.name, retryIn: undefined })
      this.#link = this.#createLink(current, { timeout, token })
    } catch (error) {
      this.#giveUp(error instanceof Error ? error : new Error('the transport failed', { cause: error }), {
        denied: false,
      })
    }
  }

  /** Opens a link; what it has to tell depends on what it is by then: the link in use, one before it, or one to come. */
  #createLink(
    transport: ClientTransport,
    { timeout, token }: { readonly timeout: number; readonly token: () => string | null },
  ): Link {
    const { url, codec, client, clock } = this.#options
    const hello = (): Omit<HelloMessage, 'type' | 'versions'> => {
      const told = token()
      return { ...(told === null ? {} : { token: told }), ...(client === undefined ? {} : { client }) }
    }
    const link: Link = new Link(
      transport,
      { url, codec, clock, timeout, frameLimit: () => this.#limits.frame, hello },
      {
        opened: () => (link === this.#link ? this.#events.opened() : []),
        welcomed: (welcome) => (link === this.#link ? this.#welcomed(welcome) : this.#upgrade.welcomed(link)),
        received: (message) => {
          if (link === this.#link) this.#received(message)
          // What the views show is the business of the link in use alone.
          else if (message.type === 'reply') this.#events.received(message)
        },
        settled: () => this.#events.settled(),
        ended: (end) => this.#ended(link, end),
        frame: (direction, messages) => this.#events.frame(direction, messages),
      },
    )
    return link
  }

  #welcomed({ user, limits }: WelcomeMessage): void {
    const another = this.#session !== undefined && this.#session.user !== user
    this.#session = { user }
    this.#limits = limits
    this.#refused = false
    this.#everLive = true
    this.#liveSince = this.#options.clock.monotonic()
    this.#choice.welcomed()
    this.state.set({ status: 'live', user, error: undefined, fallback: this.#choice.fallback })
    this.#authentication.welcomed()
    this.#events.welcomed({ another })
    this.#upgrade.watch(this.#choice.better)
  }

  #received(message: ContentMessage): void {
    if (message.type === 'expiring') {
      if (this.#credentials.renewable) this.#renewal.expiring()
    } else if (message.type !== 'reply' || !this.#authentication.reply(message)) this.#events.received(message)
  }

  // ── The move to a better transport ────────────────────────────────────────────────────────────────────────────────

  /** A link of a better transport was welcomed. Somebody else's is of no use: the source of tokens is ahead of us. */
  #found(link: Link): boolean {
    const same = this.#session !== undefined && link.welcome?.user === this.#session.user
    if (!same || this.#move.isBusy) return false
    this.#move.begin(link)
    return true
  }

  /** Takes another link as the one in use; answers the one before. */
  #use(link: Link): Link | undefined {
    const before = this.#link
    this.#link = link
    this.#limits = link.welcome?.limits ?? this.#limits
    this.#liveSince = this.#options.clock.monotonic()
    this.#renewal.stop()
    this.#authentication.movedTo(link.token)
    this.#choice.use(link.transport)
    this.state.set({ transport: link.transport.name, error: undefined, fallback: this.#choice.fallback })
    this.#upgrade.watch(this.#choice.better)
    return before
  }

  // ── The end of a link ─────────────────────────────────────────────────────────────────────────────────────────────

  #ended(link: Link, end: LinkEnd): void {
    if (this.#upgrade.isCandidate(link)) this.#upgrade.ended(link, end)
    else if (link === this.#move.next) this.#move.nextEnded()
    else if (link === this.#move.former) this.#move.formerEnded()
    else if (link === this.#link) this.#lost(end)
  }

  /** The link in use is gone. */
  #lost(end: LinkEnd): void {
    // The session was ended, but other credentials are under way: they are of another session.
    const replaced = end.code === closeCodes.revoked && this.#authentication.replaces(this.#link?.token ?? null)
    const another = replaced || end.code === closeCodes.sessionChanged
    const lived = this.#link?.welcome && this.#options.clock.monotonic() - this.#liveSince
    const { stableAfter, upgradeMaximum } = this.#options.limits
    const stable = lived !== undefined && lived >= stableAfter
    if (stable) this.#failures = 0
    if (stable && lived >= upgradeMaximum) this.#upgrade.lasted()
    // Another link may take over, unless the end is about who this is.
    const same = end.again && !another && !this.#authentication.pending && !this.#authentication.changed
    if (same && this.#move.takeOver()) return
    this.#dropLink()
    if (another) this.#session = undefined
    this.#events.lost({ another })
    const { error } = end
    const next = this.#choice.ended({
      reached: end.reached,
      // What the server ends is not for the transport to answer for.
      lived: lived === undefined || end.code >= 4000 ? undefined : stable ? 'long' : 'short',
      error,
    })
    if (end.code === closeCodes.unauthenticated) this.#askOnceMore(error, { hurry: stable || lived === undefined })
    else if (replaced) this.#retry(error, stable ? 0 : undefined)
    else if (!end.again) this.#giveUp(error, { denied: deniedCodes.has(end.code) })
    else if (next) this.#tryNext(error)
    else this.#retry(error, end.after ?? (another && this.#authentication.pending ? 0 : undefined))
  }

  /** The next transport, at once and with the same token. */
  #tryNext(error: Error): void {
    this.#attempt++
    this.state.set({ status: this.#everLive ? 'reconnecting' : 'connecting', error })
    this.#open()
  }

  #askOnceMore(error: Error, { hurry }: { readonly hurry: boolean }): void {
    const { changed } = this.#authentication
    if (!changed && (this.#refused || !this.#credentials.renewable)) return this.#giveUp(error, { denied: true })
    this.#refused = !changed
    this.#retry(error, hurry ? 0 : undefined)
  }

  #dropLink(): void {
    this.#link = undefined
    this.#upgrade.stop()
    this.#move.stop()
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
    this.#upgrade.soon()
    if (this.#link !== undefined) this.#link.probe()
    else if (this.state.getSnapshot().retryIn !== undefined) this.#connect()
  }
}

/** Close codes after which the client must show nothing more. */
const deniedCodes: ReadonlySet<number> = new Set([closeCodes.unauthenticated, closeCodes.forbidden, closeCodes.revoked])
