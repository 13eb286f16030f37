import type { TransportLink, TransportRequest } from './client-transport.ts'
import { readAnswer } from './http-answer.ts'
import { HttpExchange, type HttpTransportOptions, type Question } from './http-exchange.ts'

/** Times that a request is repeated, and milliseconds before the first; each further wait is twice as long. */
const REPEATS = 6
const FIRST_WAIT = 100
const LONGEST_WAIT = 10_000
/** Milliseconds in which a frame is answered: the server does not wait with it. */
const POST_TIMEOUT = 10_000
/** Milliseconds for the last request of all; no timer of the client's waits for it. */
const LEAVE_TIMEOUT = 5_000
/** Characters and frames that go in one request. */
const SHARED = 16_384
const BATCH = 100

/**
 * A link over HTTP. Frames up go by POST, one after the other, numbered, and each repeated until it is answered, which the
 * server counts once. Frames down are numbered by the server; how they come is for the *downlink* to say.
 */
export class HttpLink implements TransportLink {
  readonly #request: TransportRequest
  readonly #exchange: HttpExchange
  readonly #downlink: (link: HttpLink) => Promise<void>
  readonly #waits = new Set<() => void>()
  /** Ends what waits for the server; what is being sent goes on after `close`. */
  readonly #over = new AbortController()
  readonly #sent = new AbortController()
  #state: 'open' | 'closing' | 'over' = 'open'
  #queue: string[] = []
  #sending = false
  #session: string | undefined
  #sequence = 0
  #cursor = 0

  /** @throws TypeError if the address is none. */
  constructor(request: TransportRequest, options: HttpTransportOptions, downlink: (link: HttpLink) => Promise<void>) {
    this.#request = request
    this.#exchange = new HttpExchange(options, {
      url: request.url,
      clock: request.clock,
      // The first frame has it.
      token: () => (this.#session === undefined ? null : request.token()),
    })
    this.#downlink = downlink
    // The first frame opens the session: there is nothing to wait for until then.
    queueMicrotask(() => {
      if (this.isOpen) request.onOpen()
    })
  }

  // ── For the client ────────────────────────────────────────────────────────────────────────────────────────────────

  send(frame: string | Uint8Array): void {
    if (!this.isOpen) return
    this.#queue.push(String(frame))
    if (!this.#sending) void this.#sendAll()
  }

  close(): void {
    if (!this.isOpen) return
    this.#state = 'closing'
    this.#over.abort()
    this.#stopWaiting()
    if (this.#session === undefined) {
      this.#queue = []
      this.#sent.abort()
    } else if (!this.#sending) void this.#leave()
  }

  // ── For the downlink ──────────────────────────────────────────────────────────────────────────────────────────────

  get isOpen(): boolean {
    return this.#state === 'open'
  }

  get session(): string {
    return this.#session ?? ''
  }

  /** The number of the last frame that came. */
  get cursor(): number {
    return this.#cursor
  }

  /** Aborts when the link is over. */
  get signal(): AbortSignal {
    return this.#over.signal
  }

  now(): number {
    return this.#request.clock.monotonic()
  }

  /** Takes the frame with this number, if it is the next one; one that came before is known by it. */
  take(number: number, frame: string): void {
    if (!this.isOpen || number <= this.#cursor) return
    if (number > this.#cursor + 1) return this.end(1006, 'a frame is missing')
    this.#cursor = number
    this.#request.onFrame(frame)
  }

  /** Takes an answer with frames. @throws Error if it is none, or not whole: ask again. */
  takeAnswer(text: string): { readonly count: number } {
    const { session, from, frames, closed } = readAnswer(text)
    this.#session = session
    for (const [at, frame] of frames.entries()) this.take(from + at + 1, frame)
    if (closed !== undefined) this.end(closed.code, closed.reason)
    return { count: frames.length }
  }

  /** The link is over. */
  end(code: number, reason: string, after?: number): void {
    if (!this.isOpen) return
    this.#state = 'over'
    this.#queue = []
    this.#over.abort()
    this.#sent.abort()
    this.#stopWaiting()
    this.#request.onClose(code, reason, after)
  }

  /** Settles after so many milliseconds, or when the link is over. */
  wait(delay: number): Promise<void> {
    return new Promise((resolve) => {
      if (!this.isOpen) return resolve()
      const cancel = this.#request.clock.setTimer(delay, () => done())
      const done = (): void => {
        cancel()
        this.#waits.delete(done)
        resolve()
      }
      this.#waits.add(done)
    })
  }

  /**
   * Asks until there is an answer that `read` can read; the link ends when there is none. Settles with `undefined` then,
   * and when the link is over.
   * @param repeats - times that it is asked again
   */
  async ask<T>(
    question: Question,
    read: (response: Response) => Promise<T>,
    repeats: number = REPEATS,
  ): Promise<T | undefined> {
    for (let attempt = 0; !question.signal.aborted; attempt++) {
      const answer = await this.#exchange.ask(question, read)
      if ('value' in answer) return answer.value
      if (question.signal.aborted) break
      // A session that is refused is for the client to try again; what is lost on the way is repeated.
      const refused = !answer.again || (answer.answered && this.#session === undefined)
      if (refused || attempt >= repeats || this.#state === 'closing') {
        this.end(answer.code, answer.reason, answer.after)
        break
      }
      await this.wait(Math.min(LONGEST_WAIT, answer.after ?? FIRST_WAIT * 2 ** attempt))
    }
    return undefined
  }

  // ── Inside ────────────────────────────────────────────────────────────────────────────────────────────────────────

  async #sendAll(): Promise<void> {
    this.#sending = true
    while (this.#queue.length > 0) {
      if (this.#session === undefined) await this.#open()
      else await this.#post()
    }
    this.#sending = false
    if (this.#state === 'closing' && this.#session !== undefined) await this.#leave()
  }

  /** The first frame makes the session; it is repeated under the same name, so that it makes one alone. */
  async #open(): Promise<void> {
    const [body = ''] = this.#queue.splice(0, 1)
    const headers = { 'rtapi-cursor': '0' }
    const question = { method: 'POST', path: '', headers, body, signal: this.#sent.signal } as const
    const opened = await this.ask(question, async (response) => this.takeAnswer(await response.text()), 1)
    if (opened === undefined) this.#queue = []
    else if (this.isOpen) void this.#downlink(this)
  }

  async #post(): Promise<void> {
    const body = this.#takeShared()
    const headers = { 'rtapi-session': this.session, 'rtapi-sequence': String(++this.#sequence) }
    const question = {
      method: 'POST',
      path: '',
      headers,
      body,
      signal: this.#sent.signal,
      timeout: POST_TIMEOUT,
    } as const
    const answered = await this.ask(question, async (response) => readAnswer(await response.text()))
    if (answered === undefined) this.#queue = []
  }

  /** What has gathered while a request was under way goes in one: each costs the time to the server and back. */
  #takeShared(): string {
    const frames = this.#queue.splice(0, 1)
    let size = frames[0]?.length ?? 0
    for (;;) {
      const next = this.#queue[0]
      // Frames of several messages are as full as they may be.
      const joins = next?.startsWith('{') === true && frames[0]?.startsWith('{') === true
      if (!joins || next === undefined || frames.length >= BATCH || size + next.length > SHARED) break
      this.#queue.shift()
      frames.push(next)
      size += next.length + 1
    }
    return frames.length === 1 ? frames.join() : `[${frames.join()}]`
  }

  /** Nobody waits for the answer: a session that is not left ends by itself. */
  async #leave(): Promise<void> {
    this.#state = 'over'
    const body = JSON.stringify({ session: this.session })
    const signal = AbortSignal.timeout(LEAVE_TIMEOUT)
    await this.#exchange.ask({ method: 'POST', path: '/close', body, signal, keepalive: true }, (response) =>
      response.text(),
    )
  }

  #stopWaiting(): void {
    for (const done of this.#waits) done()
  }
}
