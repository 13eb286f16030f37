import type { ReplyMessage, ServerMessage } from '@rtapi/core/protocol'
import { EventSource } from 'eventsource'
import type { BoardLine } from '../../board/src/board-line.ts'
import { curl } from './curl.ts'
import { Inbox } from './inbox.ts'
import type { RequestFields, SubscribeFields } from './wire-client.ts'
import { type LinkEnd, json } from './wire-link.ts'
import type { WireView } from './wire-view.ts'

/** What a script does that has no client at all: it watches with a stock `EventSource`, and writes with `curl`. */
export class ScriptClient {
  /** All that has come by streams. */
  readonly messages: ServerMessage[] = []
  /** Resolves when the server ends a stream for good. */
  readonly closed: Promise<LinkEnd>
  readonly #line: BoardLine
  readonly #token: string | undefined
  readonly #sources = new Set<EventSource>()
  #tellClosed: (end: LinkEnd) => void = () => undefined
  #breakStream: (() => void) | undefined
  /** Where the last stream is, and the last event of it. */
  #last = { url: '', event: '' }

  constructor(line: BoardLine, token: string | undefined) {
    this.#line = line
    this.#token = token
    this.closed = new Promise((resolve) => (this.#tellClosed = resolve))
  }

  /** Status and reply are of one request of `curl`. */
  async request(resource: string, action: string, fields: RequestFields = {}): Promise<ReplyMessage> {
    return (await curl(this.#line, [resource, action, fields], this.#token)).reply
  }

  /** Opens a stream with one subscription in its address, and waits until the view is whole. */
  async subscribe(resource: string, fields: SubscribeFields = {}): Promise<WireView> {
    const inbox = new Inbox()
    const view = inbox.view('s1')
    const query = new URLSearchParams({ subscribe: JSON.stringify({ resource, ...fields }) })
    const url = `${this.#line.poll}/stream?${query}`
    const source = new EventSource(url, { fetch: (address, init) => this.#fetch(address, init) })
    this.#sources.add(source)
    source.addEventListener('message', ({ data, lastEventId }) => {
      const frame = json.decode(String(data))
      this.#last = { url, event: lastEventId }
      this.messages.push(...frame)
      inbox.take(frame)
    })
    source.addEventListener('close', ({ data }) => {
      source.close()
      this.#tellClosed(JSON.parse(String(data)) as LinkEnd)
    })
    await view.until(() => view.whole || view.ended !== undefined)
    return view
  }

  /**
   * Asks for what follows the last event of the stream that was opened last and, if that is nothing but its end once more,
   * for the stream anew. Answers the status and the body.
   */
  async comeBack(): Promise<string> {
    const { url, event } = this.#last
    const ask = async (headers: Record<string, string>): Promise<string> => {
      const response = await this.#fetch(url, { headers })
      return `${response.status} ${await response.text()}`
    }
    const followed = await ask({ 'last-event-id': event })
    const isOver = followed.startsWith('200 ') && followed.includes('event: close\n') && !/^id:/m.test(followed)
    return isOver ? ask({}) : followed
  }

  /** Breaks the stream that was opened last, as a network does; the `EventSource` comes back by itself. */
  breakStream(): void {
    this.#breakStream?.()
  }

  close(): Promise<void> {
    for (const source of this.#sources) source.close()
    return Promise.resolve()
  }

  async #fetch(url: string | URL, init: { readonly headers: Record<string, string> }): Promise<Response> {
    const headers = {
      ...init.headers,
      ...(this.#token === undefined ? {} : { authorization: `Bearer ${this.#token}` }),
    }
    const response = await fetch(url, { ...init, headers })
    const broken = new TransformStream<Uint8Array, Uint8Array>({
      start: (controller) => {
        this.#breakStream = () => controller.error(new Error('the network is gone'))
      },
    })
    const { status, statusText, headers: answered } = response
    return Object.defineProperty(
      new Response(response.body?.pipeThrough(broken) ?? null, { status, statusText, headers: answered }),
      'url',
      { value: response.url },
    )
  }
}
