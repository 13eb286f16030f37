import type { Codec, ErrorCode, ReplyMessage, ServerMessage } from '@rtapi/core'
import { check } from './conformance.ts'
import { turn } from './event-loop.ts'
import type { RawLink } from './transport-run.ts'

export interface AttackLinkOptions {
  readonly codec: Codec
  /** Writes what stands in JSON as the codec would, also what no encoder writes. */
  readonly write: (json: string) => string | Uint8Array
  /** Milliseconds after which what has not come counts as missing. */
  readonly timeout: number
}

/** Looks without a pause, in which an answer of this machine comes, and milliseconds between those that follow. */
const SOON = 200
const PAUSE = 5

/** A client that sends whatever it is told, and keeps every message that it is sent. */
export class AttackLink {
  readonly messages: ServerMessage[] = []
  /** How the link has ended. */
  end: { readonly code: number; readonly reason: string } | undefined
  readonly raw: RawLink
  readonly #options: AttackLinkOptions
  /** Frames that were refused before they came to the API, in the words of the transport. */
  readonly #refusals: string[] = []
  #read = 0
  #lastId = 0

  constructor(raw: RawLink, options: AttackLinkOptions) {
    this.raw = raw
    this.#options = options
    raw.closed
      .then((end) => this.#ended(end))
      .catch((error: unknown) => (this.end = { code: 1006, reason: String(error) }))
  }

  /** All that has come, as one text to search. */
  get received(): string {
    this.#take()
    return [JSON.stringify(this.messages), ...this.#refusals, this.end?.reason ?? ''].join('\n')
  }

  /** Sends a frame: JSON is written by the codec, bytes go as they are. */
  send(frame: string | Uint8Array): void {
    const data = typeof frame === 'string' ? this.#options.write(frame) : frame
    new Promise<void>((resolve) => resolve(this.raw.send(data))).catch((error: unknown) => {
      this.#refusals.push(String(error))
    })
  }

  /** Sends a frame and answers what comes of it, as text: a message that answers, a refusal, or the end of the link. */
  async answer(frame: string | Uint8Array): Promise<string> {
    this.#take()
    const [before, refused] = [this.messages.length, this.#refusals.length]
    this.send(frame)
    return await this.until('an answer', () => {
      const answer = this.messages.slice(before).find(isAnswer)
      if (answer !== undefined) return JSON.stringify(answer)
      return this.#refusals[refused] ?? (this.end === undefined ? undefined : JSON.stringify(this.end))
    })
  }

  /** Sends a request and answers its reply. */
  async request(resource: string, action: string, rest: object = {}): Promise<ReplyMessage> {
    const id = `t${++this.#lastId}`
    this.send(JSON.stringify({ type: 'request', id, resource, action, ...rest }))
    return await this.next(`the reply to ${action}`, isReplyTo(id))
  }

  /** Sends a request and answers `ok` or the code of its error. */
  async outcome(resource: string, action: string, rest: object = {}): Promise<'ok' | ErrorCode> {
    const reply = await this.request(resource, action, rest)
    return reply.ok ? 'ok' : reply.error.code
  }

  /** Subscribes and waits until the snapshot is whole. */
  async subscribe(id: string, rest: object): Promise<Extract<ServerMessage, { type: 'snapshot' }>> {
    this.send(JSON.stringify({ type: 'subscribe', id, resource: 'notes', ...rest }))
    const isWhole = (message: ServerMessage): message is Extract<ServerMessage, { type: 'snapshot' }> =>
      message.type === 'snapshot' && message.id === id && message.done
    return await this.next(`the snapshot of ${id}`, isWhole)
  }

  /** The first message so far or to come that is meant. */
  async next<M extends ServerMessage>(what: string, isMeant: (message: ServerMessage) => message is M): Promise<M> {
    return await this.until(what, () => {
      const found = this.messages.find(isMeant)
      check(found !== undefined || this.end === undefined, `waited for ${what}, and the link ended: ${this.#story()}`)
      return found
    })
  }

  /** Looks again and again, since transports tell nobody of most things; every look takes what has come. */
  async until<T>(what: string, take: () => T | undefined): Promise<T> {
    const until = performance.now() + this.#options.timeout
    for (let looks = 0; ; looks++) {
      this.#take()
      const found = take()
      if (found !== undefined) return found
      check(performance.now() < until, `waited in vain for ${what}: ${this.#story()}`)
      if (looks < SOON) await turn()
      else await new Promise<void>((resolve) => setTimeout(resolve, PAUSE))
    }
  }

  /** How many frames the transport has refused. */
  get refused(): number {
    return this.#refusals.length
  }

  /** Goes, unless the link has ended. */
  async close(): Promise<void> {
    if (this.end === undefined) await this.raw.close()
  }

  /** Waits until the server has ended the link, and says by which code. */
  async endCode(): Promise<number> {
    return await this.until('the end of the link', () => this.end?.code)
  }

  /** Answers the messages that come until a ping of its own is answered: frames keep their order. */
  async untilPong(): Promise<readonly ServerMessage[]> {
    this.#take()
    const before = this.messages.length
    this.send('{"type":"ping"}')
    await this.until('a pong', () => this.messages.slice(before).find(({ type }) => type === 'pong'))
    return this.messages.slice(before).filter(({ type }) => type !== 'pong')
  }

  /** Some transports have no close codes: `goodbye` says it there. */
  #ended(end: { readonly code: number; readonly reason: string }): void {
    this.#take()
    const goodbye = this.messages.find((message) => message.type === 'goodbye')
    this.end = end.code >= 4000 ? end : (goodbye ?? end)
  }

  #take(): void {
    for (; this.#read < this.raw.received.length; this.#read++) {
      const frame = this.#options.codec.decode(this.raw.received[this.#read] ?? '')
      for (const message of [frame].flat() as ServerMessage[]) {
        if (message.type === 'ping') this.send('{"type":"pong"}')
        else this.messages.push(message)
      }
    }
  }

  #story(): string {
    const last = this.messages.slice(-5).map((message) => JSON.stringify(message).slice(0, 300))
    return [...last, ...this.#refusals.slice(-2), JSON.stringify(this.end ?? 'it stands')].join(', ')
  }
}

function isReplyTo(id: string): (message: ServerMessage) => message is ReplyMessage {
  return (message): message is ReplyMessage => message.type === 'reply' && message.id === id
}

/** A message that says what became of a frame; `end` says it after `reset`, `snapshot` alone where all is well. */
function isAnswer({ type }: ServerMessage): boolean {
  return type === 'reply' || type === 'end' || type === 'snapshot' || type === 'goodbye'
}
