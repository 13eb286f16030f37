import type {
  ClientMessage,
  ReplyMessage,
  RequestMessage,
  ServerMessage,
  SubscribeMessage,
  WelcomeMessage,
} from '@rtapi/core/protocol'
import type { BoardLine } from '../../board/src/board-line.ts'
import { Inbox } from './inbox.ts'
import { openNodeWebSocket } from './links/node-web-socket.ts'
import type { LinkEnd, OpenLink, WireLink } from './wire-link.ts'
import type { WireView } from './wire-view.ts'

type Fields<M> = Omit<M, 'type' | 'id' | 'resource' | 'action'>

export type RequestFields = Fields<RequestMessage>
export type SubscribeFields = Fields<SubscribeMessage>

export interface WireOptions {
  readonly token?: string
  readonly headers?: Readonly<Record<string, string>>
  /** The transport. @default Node's own WebSocket */
  readonly open?: OpenLink
  /** Goes in the first frame, behind `hello`. */
  readonly first?: readonly ClientMessage[]
}

/** Connects and waits until it is welcome. */
export async function connect(line: BoardLine, options: WireOptions = {}): Promise<WireClient> {
  const client = new WireClient(line, options)
  await client.welcomed
  return client
}

/** A client that knows nothing but the wire protocol, over any transport. */
export class WireClient {
  readonly welcomed: Promise<WelcomeMessage>
  /** Resolves when the link is gone, with the code of the last `goodbye` if the transport says none. */
  readonly closed: Promise<LinkEnd>
  readonly #inbox = new Inbox()
  readonly #link: WireLink
  #lastId = 0

  constructor(line: BoardLine, { token, headers = {}, open = openNodeWebSocket, first = [] }: WireOptions) {
    let tellClosed: (end: LinkEnd) => void = () => undefined
    this.closed = new Promise((resolve) => (tellClosed = resolve))
    this.#link = open(line, {
      hello: [{ type: 'hello', versions: [1], ...(token === undefined ? {} : { token }) }, ...first],
      headers,
      received: (frame) => this.#receive(frame),
      closed: ({ code, reason }) => tellClosed(code < 4000 ? (this.#goodbye ?? { code, reason }) : { code, reason }),
    })
    this.welcomed = Promise.race([
      this.until((message): message is WelcomeMessage => message.type === 'welcome'),
      this.closed.then(({ code, reason }) => Promise.reject(new Error(`closed with ${code} ${reason}`))),
    ])
    // Whoever wants to know of the end alone asks for that.
    this.welcomed.catch(() => undefined)
  }

  /** All that has come so far. */
  get messages(): readonly ServerMessage[] {
    return this.#inbox.messages
  }

  send(...messages: readonly ClientMessage[]): void {
    this.#link.send(messages)
  }

  /** The next id of a request or subscription. */
  newId(): string {
    return `i${++this.#lastId}`
  }

  /** Sends a request and answers its reply. */
  async request(resource: string, action: string, fields: RequestFields = {}): Promise<ReplyMessage> {
    const id = this.newId()
    this.send({ type: 'request', id, resource, action, ...fields })
    return this.until((message): message is ReplyMessage => message.type === 'reply' && message.id === id)
  }

  /** Opens a live view and waits until it is whole. */
  subscribe(resource: string, fields: SubscribeFields = {}): Promise<WireView> {
    return this.#subscribe(resource, fields)
  }

  /** Goes on with the view of a link that is gone, from where that was. */
  resume(view: WireView, resource: string, fields: SubscribeFields = {}): Promise<WireView> {
    if (view.position === undefined) throw new Error('the view has no position')
    return this.#subscribe(resource, { ...fields, since: view.position, have: view.keys }, view)
  }

  async #subscribe(resource: string, fields: SubscribeFields, before?: WireView): Promise<WireView> {
    const id = this.newId()
    const view = this.#inbox.view(id, before)
    this.send({ type: 'subscribe', id, resource, ...fields })
    await view.until(() => view.whole || view.ended !== undefined)
    return view
  }

  close(): Promise<LinkEnd> {
    this.#link.close()
    return this.closed
  }

  /** Loses the link without a word. */
  cut(): Promise<LinkEnd> {
    this.#link.cut()
    return this.closed
  }

  /** The first message, of those received so far or to come, that is meant. */
  until<M extends ServerMessage>(isMeant: (message: ServerMessage) => message is M): Promise<M> {
    return this.#inbox.until(isMeant)
  }

  get #goodbye(): LinkEnd | undefined {
    const last = this.messages.at(-1)
    return last?.type === 'goodbye' ? { code: last.code, reason: last.reason } : undefined
  }

  #receive(frame: readonly ServerMessage[]): void {
    if (frame.some(({ type }) => type === 'ping')) this.send({ type: 'pong' })
    this.#inbox.take(frame)
  }
}
