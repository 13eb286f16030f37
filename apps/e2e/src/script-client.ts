import type { ReplyMessage } from '@rtapi/core/protocol'
import { EventSource } from 'eventsource'
import type { BoardLine } from '../../board/src/board-line.ts'
import { curl } from './curl.ts'
import { Inbox } from './inbox.ts'
import type { RequestFields, SubscribeFields } from './wire-client.ts'
import { json } from './wire-link.ts'
import type { WireView } from './wire-view.ts'

/** What a script does that has no client at all: it watches with a stock `EventSource`, and writes with `curl`. */
export class ScriptClient {
  readonly #line: BoardLine
  readonly #token: string | undefined
  readonly #sources = new Set<EventSource>()
  #breakStream: (() => void) | undefined

  constructor(line: BoardLine, token: string | undefined) {
    this.#line = line
    this.#token = token
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
    const source = new EventSource(`${this.#line.poll}/stream?${query}`, {
      fetch: (url, init) => this.#fetch(url, init),
    })
    this.#sources.add(source)
    source.addEventListener('message', ({ data }) => inbox.take(json.decode(String(data))))
    await view.until(() => view.whole || view.ended !== undefined)
    return view
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
