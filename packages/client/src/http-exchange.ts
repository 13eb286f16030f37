import type { ClientClock } from './client-clock.ts'
import { type HttpRefusal, refusalOf } from './http-refusal.ts'
import { httpUrl } from './transport-url.ts'

/** Options of the transports over HTTP. */
export interface HttpTransportOptions {
  /** Where the server listens: `https:`, or relative to the page. @default the `url` of the client, by HTTP */
  readonly url?: string
  /** Sent with each request, e.g. for a proxy. A function is asked each time. */
  readonly headers?: Readonly<Record<string, string>> | (() => Readonly<Record<string, string>>)
  /** Whether cookies go along, as with `fetch`. @default 'same-origin' */
  readonly credentials?: RequestCredentials
  /** @default globalThis.fetch */
  readonly fetch?: (url: string, init: RequestInit) => Promise<Response>
}

/** What is asked of the server. */
export interface Question {
  readonly method: 'GET' | 'POST'
  /** Below the address of the server. */
  readonly path: string
  readonly search?: Readonly<Record<string, string>>
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  readonly signal: AbortSignal
  /** Milliseconds until it is asked again. @default as long as it takes */
  readonly timeout?: number
  /** Goes on when the page is left. @default false */
  readonly keepalive?: boolean
}

/** What an exchange needs of its link. */
export interface HttpExchangePort {
  readonly url: string
  readonly clock: ClientClock
  /** The token that goes along. */
  readonly token: () => string | null
}

/** The requests of one link. */
export class HttpExchange {
  readonly #options: HttpTransportOptions
  readonly #url: URL
  readonly #clock: ClientClock
  readonly #token: () => string | null
  /** Repeated with each request, so that whatever spreads requests over processes can keep a link on one of them. */
  readonly #name = randomName()

  /** @throws TypeError if the address is none. */
  constructor(options: HttpTransportOptions, { url, clock, token }: HttpExchangePort) {
    this.#options = options
    this.#url = httpUrl(options.url ?? url)
    this.#clock = clock
    this.#token = token
  }

  /** Sends a request, and reads what comes. Never rejects. */
  async ask<T>(
    question: Question,
    read: (response: Response) => Promise<T>,
  ): Promise<{ readonly value: T } | HttpRefusal> {
    const limit = new AbortController()
    const stop = (): void => limit.abort()
    question.signal.addEventListener('abort', stop)
    const { timeout } = question
    const cancel = timeout === undefined ? undefined : this.#clock.setTimer(timeout, stop)
    try {
      const response = await this.#fetch(question, limit.signal)
      if (!response.ok) return await refusalOf(response)
      return { value: await read(response) }
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      return { again: true, answered: false, code: 1006, reason, after: undefined }
    } finally {
      cancel?.()
      question.signal.removeEventListener('abort', stop)
    }
  }

  #fetch({ method, path, search, headers, body, keepalive = false }: Question, signal: AbortSignal): Promise<Response> {
    const { headers: own, credentials = 'same-origin', fetch = globalThis.fetch } = this.#options
    const url = new URL(this.#url)
    url.pathname = url.pathname.replace(/\/+$/, '') + path
    for (const [name, value] of Object.entries(search ?? {})) url.searchParams.set(name, value)
    const token = this.#token()
    return fetch(url.href, {
      method,
      signal,
      credentials,
      cache: 'no-store',
      headers: {
        'rtapi-open': this.#name,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(token === null ? {} : { authorization: `Bearer ${token}` }),
        ...(typeof own === 'function' ? own() : own),
        ...headers,
      },
      ...(body === undefined ? {} : { body, keepalive }),
    })
  }
}

/** 128 random bits in letters that a header may hold. */
function randomName(): string {
  return crypto
    .getRandomValues(new Uint8Array(16))
    .reduce((name, byte) => name + byte.toString(16).padStart(2, '0'), '')
}
