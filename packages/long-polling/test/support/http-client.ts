import type { RawConnect, RawLink } from '@rtapi/testing'
import { readEvents } from './event-reader.ts'

/** What the first line of an answer says. */
interface Head {
  readonly session: string
  readonly from: number
  readonly cursor: number
  readonly closed?: Closed
}

interface Closed {
  readonly code: number
  readonly reason: string
}

export interface HttpClientOptions extends RawConnect {
  /** How frames come. @default 'poll' */
  readonly by?: 'poll' | 'stream'
  /** The first frame. */
  readonly frame?: string
  /** Called with each frame as it comes. */
  readonly onFrame?: (frame: string) => void
}

/** Tries of one request, and milliseconds between them, before a client gives up. */
const TRIES = 300
const PAUSE = 5

/**
 * A client of the transport as its documentation describes it: one request with frames at a time, and one poll or stream;
 * each is sent again with the same numbers until it is answered; frames that came before are known by theirs.
 */
export class HttpClient implements RawLink {
  readonly received: string[] = []
  readonly closed: Promise<Closed>
  readonly #url: string
  readonly #options: HttpClientOptions
  readonly #over = new AbortController()
  #tellClosed: (end: Closed) => void = () => undefined
  #session = ''
  #cursor = 0
  #sequence = 0
  #sending: Promise<void> = Promise.resolve()
  #paused: { readonly resume: () => void; readonly over: Promise<void> } | undefined

  private constructor(url: string, options: HttpClientOptions) {
    this.#url = url
    this.#options = options
    this.closed = new Promise((resolve) => (this.#tellClosed = resolve))
  }

  /** Rejects if the server refuses the first request. */
  static async open(url: string, options: HttpClientOptions = {}): Promise<HttpClient> {
    const client = new HttpClient(url, options)
    const headers = { 'rtapi-open': crypto.randomUUID(), 'rtapi-cursor': '0' }
    client.#readLines(0, await client.#post('', options.frame ?? '', headers))
    const ask = options.by === 'stream' ? () => client.#stream() : () => client.#poll()
    void client.#keepAsking(ask)
    return client
  }

  get session(): string {
    return this.#session
  }

  /** The number of the last frame that has come. */
  get cursor(): number {
    return this.#cursor
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

  async #keepAsking(ask: () => Promise<void>): Promise<void> {
    try {
      while (!this.#over.signal.aborted) await ask()
    } catch (error) {
      this.#end({ code: 1006, reason: String(error) })
    }
  }

  async #poll(): Promise<void> {
    const cursor = this.#cursor
    const answer = await this.#post('/poll', JSON.stringify({ session: this.#session, cursor }))
    await this.#paused?.over
    this.#readLines(cursor, answer)
  }

  async #stream(): Promise<void> {
    const headers = { ...this.#options.headers, 'last-event-id': `${this.#session}.${this.#cursor}` }
    const { signal } = this.#over
    try {
      const response = await fetch(`${this.#url}/stream?session=${this.#session}`, { headers, signal })
      if (!response.ok || response.body === null) throw new Refused(`${response.status} ${await response.text()}`)
      for await (const { event, id, data } of readEvents(response.body)) {
        await this.#paused?.over
        if (event === 'close') return this.#end(JSON.parse(data) as Closed)
        this.#take(Number(id.split('.')[1]), data)
      }
    } catch (error) {
      if (error instanceof Refused || signal.aborted) throw error
    }
  }

  #readLines(asked: number, answer: string): void {
    const [first = '', ...frames] = answer.split('\n').slice(0, -1)
    const head = JSON.parse(first) as Head
    this.#session = head.session
    if (head.from !== asked && frames.length > 0) throw new Error(`asked for ${asked}, answered from ${head.from}`)
    for (const [index, frame] of frames.entries()) this.#take(asked + index + 1, frame)
    if (head.closed !== undefined) this.#end(head.closed)
  }

  /** A frame with its number, which may have come before. */
  #take(number: number, frame: string): void {
    if (number <= this.#cursor) return
    if (number > this.#cursor + 1) throw new Error(`frame ${number} came after frame ${this.#cursor}`)
    this.#cursor = number
    this.received.push(frame)
    this.#options.onFrame?.(frame)
  }

  #end(end: Closed): void {
    this.#over.abort()
    this.#tellClosed(end)
  }

  /** Sends a request until it is answered. */
  async #post(
    path: string,
    body: string | Uint8Array,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<string> {
    const { signal } = this.#over
    const init = { method: 'POST', body: body as BodyInit, headers: { ...this.#options.headers, ...headers }, signal }
    for (let tries = 0; ; tries++) {
      let pause = PAUSE
      try {
        const response = await fetch(this.#url + path, init)
        const text = await response.text()
        if (response.ok) return text
        if (response.status !== 429) throw new Refused(`${response.status} ${text}`)
        pause = Number(response.headers.get('retry-after')) * 1_000
      } catch (error) {
        if (error instanceof Refused || tries > TRIES || signal.aborted) throw error
      }
      await new Promise((resolve) => setTimeout(resolve, pause))
    }
  }
}

class Refused extends Error {}
