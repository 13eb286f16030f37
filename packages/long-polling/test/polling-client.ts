import type { RawConnect, RawLink } from '@rtapi/testing'

/** What the first line of an answer says. */
interface Head {
  readonly session: string
  readonly from: number
  readonly cursor: number
  readonly closed?: { readonly code: number; readonly reason: string }
}

export interface PollingOptions extends RawConnect {
  /** The first frame. */
  readonly frame?: string
  /** @default the platform's own */
  readonly fetch?: (url: string, init: RequestInit) => Promise<Response>
}

/** Tries of one request, and milliseconds between them, before a client gives up. */
const TRIES = 100
const PAUSE = 5

/**
 * A client of the transport as its documentation describes it: one request with frames and one poll at a time, each sent
 * again with the same numbers until it is answered; frames that came before are known by theirs.
 */
export class PollingClient implements RawLink {
  readonly received: string[] = []
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>
  readonly #url: string
  readonly #options: PollingOptions
  readonly #over = new AbortController()
  #tellClosed: (end: { readonly code: number; readonly reason: string }) => void = () => undefined
  #session = ''
  #cursor = 0
  #sequence = 0
  #sending: Promise<void> = Promise.resolve()
  #paused: { readonly resume: () => void; readonly over: Promise<void> } | undefined

  private constructor(url: string, options: PollingOptions) {
    this.#url = url
    this.#options = options
    this.closed = new Promise((resolve) => (this.#tellClosed = resolve))
  }

  /** Rejects if the server refuses the first request. */
  static async open(url: string, options: PollingOptions = {}): Promise<PollingClient> {
    const client = new PollingClient(url, options)
    client.#read(
      0,
      await client.#post('', options.frame ?? '', { 'rtapi-open': crypto.randomUUID(), 'rtapi-cursor': '0' }),
    )
    void client.#poll()
    return client
  }

  get session(): string {
    return this.#session
  }

  send(frame: string | Uint8Array): Promise<void> {
    const headers = { 'rtapi-session': this.#session, 'rtapi-sequence': String(++this.#sequence) }
    const sent = this.#sending.then(() => this.#post('', frame, headers)).then(() => undefined)
    this.#sending = sent.catch(() => undefined)
    return sent
  }

  async close(): Promise<void> {
    await this.#post('/close', JSON.stringify({ session: this.#session }))
    this.abort()
  }

  abort(): void {
    this.#over.abort()
  }

  pause(): void {
    if (this.#paused !== undefined) return
    let resume = (): void => undefined
    const over = new Promise<void>((resolve) => (resume = resolve))
    this.#paused = { resume, over }
  }

  resume(): void {
    this.#paused?.resume()
    this.#paused = undefined
  }

  async #poll(): Promise<void> {
    const { signal } = this.#over
    try {
      while (!signal.aborted) {
        const cursor = this.#cursor
        const answer = await this.#post('/poll', JSON.stringify({ session: this.#session, cursor }))
        await this.#paused?.over
        this.#read(cursor, answer)
      }
    } catch (error) {
      this.#end(1006, String(error))
    }
  }

  #read(asked: number, answer: string): void {
    const [first = '', ...frames] = answer.split('\n').slice(0, -1)
    const head = JSON.parse(first) as Head
    this.#session = head.session
    if (head.from !== asked && frames.length > 0) throw new Error(`asked for ${asked}, answered from ${head.from}`)
    this.received.push(...frames.slice(this.#cursor - asked))
    this.#cursor = Math.max(this.#cursor, head.cursor)
    if (head.closed !== undefined) this.#end(head.closed.code, head.closed.reason)
  }

  #end(code: number, reason: string): void {
    this.#over.abort()
    this.#tellClosed({ code, reason })
  }

  /** Sends a request until it is answered. */
  async #post(
    path: string,
    body: string | Uint8Array,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<string> {
    const fetched = this.#options.fetch ?? fetch
    const init = { method: 'POST', body: body as BodyInit, headers: { ...this.#options.headers, ...headers } }
    for (let tries = 0; ; tries++) {
      try {
        const response = await fetched(this.#url + path, { ...init, signal: this.#over.signal })
        const text = await response.text()
        if (response.ok) return text
        if (response.status !== 429 && response.status < 500) throw new Refused(`${response.status} ${text}`)
        if (tries > TRIES || response.status === 503) throw new Refused(`${response.status} ${text}`)
      } catch (error) {
        if (error instanceof Refused || tries > TRIES || this.#over.signal.aborted) throw error
      }
      await new Promise((resolve) => setTimeout(resolve, PAUSE))
    }
  }
}

class Refused extends Error {}
