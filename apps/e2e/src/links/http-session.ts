import type { ClientMessage, ServerMessage } from '@rtapi/core/protocol'
import { type LinkEnd, type LinkOptions, json } from '../wire-link.ts'

/** The first line of an answer. */
interface Head {
  readonly session: string
  /** The frame after which the answer begins, and its last one. */
  readonly from: number
  readonly cursor: number
  readonly closed?: LinkEnd
}

/** What long polling and event streams share: a session, and frames that are posted to it one after the other. */
export class HttpSession {
  readonly #url: string
  readonly #options: LinkOptions
  #headers: Readonly<Record<string, string>>
  readonly #over = new AbortController()
  #id = ''
  #cursor = 0
  #sequence = 0
  #sending: Promise<unknown>

  constructor(url: string, options: LinkOptions, opened: (session: HttpSession) => void) {
    this.#url = url
    this.#options = options
    this.#headers = { ...options.headers, ...authorization(options.hello) }
    this.#sending = this.#post('', textOf(options.hello), { 'rtapi-cursor': '0' })
      .then((answer) => this.take(0, answer))
      .then(() => opened(this))
      .catch((error: unknown) => this.end({ code: 1006, reason: String(error) }))
  }

  get id(): string {
    return this.#id
  }

  /** The last frame that has come. */
  get cursor(): number {
    return this.#cursor
  }

  /** Of every request: whoever has opened a session with a token in `hello` brings it here afterwards. */
  get headers(): Readonly<Record<string, string>> {
    return this.#headers
  }

  get signal(): AbortSignal {
    return this.#over.signal
  }

  send(frame: readonly ClientMessage[]): void {
    this.#headers = { ...this.#headers, ...authorization(frame) }
    // One after the other: the server takes them by their numbers.
    this.#sending = this.#sending
      .then(() =>
        this.#post('', textOf(frame), { 'rtapi-session': this.#id, 'rtapi-sequence': String(++this.#sequence) }),
      )
      .catch((error: unknown) => this.end({ code: 1006, reason: String(error) }))
  }

  /** Waits for frames behind those that have come. */
  async poll(): Promise<void> {
    const cursor = this.#cursor
    this.take(cursor, await this.#post('/poll', JSON.stringify({ session: this.#id, cursor })))
  }

  /** Takes the lines of an answer to what was asked from a cursor on; frames that came before are known by it. */
  take(asked: number, answer: string): void {
    const [first = '', ...frames] = answer.split('\n').slice(0, -1)
    const { session, cursor, closed } = JSON.parse(first) as Head
    this.#id = session
    for (const frame of frames.slice(this.#cursor - asked)) this.deliver(json.decode(frame))
    this.#cursor = Math.max(this.#cursor, cursor)
    if (closed !== undefined) this.end(closed)
  }

  deliver(frame: readonly ServerMessage[]): void {
    if (!this.#over.signal.aborted) this.#options.received(frame)
  }

  close(): void {
    this.#post('/close', JSON.stringify({ session: this.#id })).then(
      () => this.end({ code: 1000, reason: 'closed' }),
      () => this.cut(),
    )
  }

  cut(): void {
    this.end({ code: 1006, reason: 'cut' })
  }

  end(how: LinkEnd): void {
    if (this.#over.signal.aborted) return
    this.#over.abort()
    this.#options.closed(how)
  }

  async #post(path: string, body: string, headers: Readonly<Record<string, string>> = {}): Promise<string> {
    const response = await fetch(this.#url + path, {
      method: 'POST',
      headers: { ...this.#headers, ...headers },
      body,
      signal: this.#over.signal,
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${response.status} ${text}`)
    return text
  }
}

/** A token that is told in a frame goes along with each request from then on. */
function authorization(frame: readonly ClientMessage[]): Readonly<Record<string, string>> {
  const told = frame.find((message) => message.type === 'hello' || message.type === 'auth')
  return typeof told?.token === 'string' ? { authorization: `Bearer ${told.token}` } : {}
}

function textOf(frame: readonly ClientMessage[]): string {
  return String(json.encode(frame))
}
