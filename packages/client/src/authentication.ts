import type { ClientMessage, ReplyMessage } from '@rtapi/core/protocol'
import type { Credentials, TokenSource } from './credentials.ts'
import { errorFromWire } from './errors.ts'

/** What the authentication needs from the connection. */
export interface AuthenticationPort {
  newId(): string
  /** Whether the server has taken the `hello` of a link that stands: other credentials go in a message of their own. */
  welcomed(): boolean
  send(messages: readonly ClientMessage[]): void
  /** The server has taken these credentials in place of those before. */
  taken(token: string | null): void
}

interface Waiter {
  readonly resolve: () => void
  readonly reject: (error: Error) => void
  /** Its token is still being asked for. */
  asking: boolean
  /** The `auth` message that carries it; absent: the next `welcome` decides. */
  sentAs: { readonly id: string; readonly token: string | null } | undefined
}

/** Brings credentials to the server: in `hello`, or in place by `auth`. */
export class Authentication {
  /** What the next `hello` carries. */
  token: string | null = null
  readonly #credentials: Credentials
  readonly #port: AuthenticationPort
  readonly #waiters = new Set<Waiter>()
  /** What the server was told last. */
  #told: { readonly version: number; readonly token: string | null } | undefined

  constructor(credentials: Credentials, port: AuthenticationPort) {
    this.#credentials = credentials
    this.#port = port
  }

  /** The credentials are others than the server was told last. */
  get changed(): boolean {
    return this.#told?.version !== this.#credentials.version || this.#told.token !== this.token
  }

  /** Somebody waits for the server's word on other credentials. */
  get pending(): boolean {
    return this.#waiters.size > 0
  }

  /** Credentials that were set, or are being told, are others than this token: whose session that was says nothing of theirs. */
  replaces(token: string | null): boolean {
    return this.changed || (this.pending && this.token !== token)
  }

  /**
   * Takes other credentials, or asks for the present ones again, and tells the server if there is a link.
   * Resolves when the server has taken them, be it on the next link; rejects when it refuses.
   */
  authenticate(source: TokenSource | undefined): Promise<void> {
    if (source !== undefined) this.#credentials.set(source)
    return new Promise((resolve, reject) => {
      const waiter: Waiter = { resolve, reject, asking: true, sentAs: undefined }
      this.#waiters.add(waiter)
      this.ask(
        (token) => {
          this.token = token
          this.#tell(waiter)
        },
        (error) => {
          this.#waiters.delete(waiter)
          reject(error)
        },
      )
    })
  }

  /** Asks for the token until the answer belongs to the credentials of now; calls back at once where nothing waits. */
  ask(done: (token: string | null) => void, failed: (error: Error) => void): void {
    const { version } = this.#credentials
    const take = (token: string | null): void => {
      if (this.#credentials.version !== version) return this.ask(done, failed)
      done(token)
    }
    const fail = (reason: unknown): void => {
      failed(new Error('the token could not be had', { cause: reason }))
    }
    try {
      const token = this.#credentials.ask()
      if (typeof token === 'object' && token !== null) token.then(take, fail)
      else take(token)
    } catch (error) {
      fail(error)
    }
  }

  #tell(waiter: Waiter): void {
    waiter.asking = false
    if (!this.#waiters.has(waiter) || !this.#port.welcomed()) return
    const { token } = this
    waiter.sentAs = { id: this.#port.newId(), token }
    this.greeting()
    this.#port.send([{ type: 'auth', id: waiter.sentAs.id, token }])
  }

  /** The token of now is being told to the server. */
  greeting(): void {
    this.#told = { version: this.#credentials.version, token: this.token }
  }

  /** Another link takes over, whose server has been told this token since the credentials last changed. */
  movedTo(token: string | null): void {
    this.token = token
    this.greeting()
  }

  /** The server has taken what `hello` carried; what came after that goes now. */
  welcomed(): void {
    const waiting = [...this.#waiters].filter(({ asking }) => !asking)
    if (this.changed) for (const waiter of waiting) this.#tell(waiter)
    else this.#settle((waiter) => waiting.includes(waiter), undefined)
  }

  /** Takes the reply to an `auth`; answers whether it was one. */
  reply(reply: ReplyMessage): boolean {
    const waiter = [...this.#waiters].find(({ sentAs }) => sentAs !== undefined && sentAs.id === reply.id)
    if (waiter?.sentAs === undefined) return false
    if (reply.ok) this.#port.taken(waiter.sentAs.token)
    return this.#settle((each) => each === waiter, reply.ok ? undefined : errorFromWire(reply.error))
  }

  /** The link is gone: the next one carries the credentials in its `hello`. */
  lost(): void {
    for (const waiter of this.#waiters) waiter.sentAs = undefined
  }

  /** There will be no next link. */
  close(error: Error): void {
    this.#settle(() => true, error)
  }

  #settle(concerned: (waiter: Waiter) => boolean, error: Error | undefined): boolean {
    const waiters = [...this.#waiters].filter(concerned)
    for (const waiter of waiters) {
      this.#waiters.delete(waiter)
      if (error === undefined) waiter.resolve()
      else waiter.reject(error)
    }
    return waiters.length > 0
  }
}
