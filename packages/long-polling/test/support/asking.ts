import { type FakeClock, type RecordedLink, type RecordingApi, fakeClock, recordingApi } from '@rtapi/testing'
import type { Limits, WelcomeMessage } from '@rtapi/core'
import { type HttpHandler, type HttpOptions, httpHandler } from '../../src/index.ts'

export const ORIGIN = 'http://app.example'

/** The first line of an answer, and the frames behind it. */
export interface Answer {
  readonly status: number
  readonly head: {
    readonly session: string
    readonly from: number
    readonly cursor: number
    readonly closed?: { readonly code: number; readonly reason: string }
  }
  readonly frames: readonly string[]
}

export type Headers = Readonly<Record<string, string>>

/** Sends requests to a handler without a network, from an address of its own. */
export class Asking {
  readonly handler: HttpHandler
  readonly clock: FakeClock
  readonly #address: string

  constructor(handler: HttpHandler, clock: FakeClock, address = '203.0.113.1') {
    this.handler = handler
    this.clock = clock
    this.#address = address
  }

  /** Sends a request and lets everything come to rest; its answer may still be held. */
  async send(method: string, path: string, init: RequestInit = {}): Promise<Held> {
    const request = new Request(`${ORIGIN}${path}`, { method, ...init })
    const held = new Held(this.handler(request, { remoteAddress: this.#address }))
    await this.clock.settle()
    return held
  }

  /** Sends a request and waits for the answer. */
  async ask(method: string, path: string, init: RequestInit = {}): Promise<Response> {
    return await (
      await this.send(method, path, init)
    ).response
  }

  /** Sends a frame and waits for the answer. */
  async frame(session: string, sequence: number | string, body: string, headers: Headers = {}): Promise<Response> {
    const numbers = { 'rtapi-session': session, 'rtapi-sequence': String(sequence) }
    return await this.ask('POST', '/rt', { body, headers: { ...numbers, ...headers } })
  }

  /** Begins to poll. */
  async poll(session: string, cursor: unknown, init: RequestInit = {}): Promise<Held> {
    const body = JSON.stringify({ session, cursor })
    return await this.send('POST', '/rt/poll', { ...init, body })
  }
}

/** A request whose answer may be held. */
export class Held {
  readonly response: Promise<Response>
  #isHeld = true
  #answer: Promise<Answer> | undefined

  constructor(response: Promise<Response>) {
    this.response = response
    const over = (): void => void (this.#isHeld = false)
    response.then(over, over)
  }

  get isHeld(): boolean {
    return this.#isHeld
  }

  /** The answer as one with frames. */
  get answer(): Promise<Answer> {
    return (this.#answer ??= this.response.then(read))
  }
}

/** Reads an answer with frames. */
export async function read(response: Response): Promise<Answer> {
  const text = await response.text()
  const [first = '', ...frames] = text.split('\n').slice(0, -1)
  return { status: response.status, head: JSON.parse(first) as Answer['head'], frames }
}

/** A session of a recording API, whose client has been welcomed and has read that. */
export interface Opened extends Asking {
  readonly api: RecordingApi
  readonly link: RecordedLink
  readonly session: string
}

export const welcome: WelcomeMessage = {
  type: 'welcome',
  version: 1,
  connection: 'c',
  user: 'ann',
  heartbeat: { interval: 25_000, timeout: 10_000 },
  limits: { subscriptions: 1, frame: 1, have: 1 },
}

/** A handler before an API that records, on a clock of the test's own. */
export function recorded(
  options: HttpOptions = {},
  limits: Partial<Limits> = {},
): { readonly asking: Asking; readonly api: RecordingApi; readonly clock: FakeClock } {
  const clock = fakeClock()
  const api = recordingApi({ clock, limits })
  return { asking: new Asking(httpHandler(api, options), clock), api, clock }
}

/** Opens a session of such a handler; its client has the first frame. */
export async function opened(options: HttpOptions = {}, limits: Partial<Limits> = {}): Promise<Opened> {
  const { asking, api } = recorded(options, limits)
  const held = await asking.send('POST', '/rt', { body: 'hello' })
  const link = await api.link(0)
  link.send(welcome)
  await asking.clock.settle()
  const { head } = await held.answer
  return Object.assign(asking, { api, link, session: head.session })
}
