import {
  type ClientMessage,
  type ServerMessage,
  type SubscribeMessage,
  type RequestMessage,
  parseClientFrame,
} from '@rtapi/core/protocol'
import type { ClientTransport, TransportLink, TransportRequest } from '../../src/client-transport.ts'

/** One link, with the server's end in the hands of the test. What the client sends is checked by the server's own parser. */
export class ScriptedLink implements TransportLink {
  readonly request: TransportRequest
  /** Frames as the client sent them. */
  readonly frames: (string | Uint8Array)[] = []
  /** How the client closed it. */
  closedByClient: { readonly code: number; readonly reason: string } | undefined
  #inbox: ClientMessage[] = []

  constructor(request: TransportRequest) {
    this.request = request
  }

  send(frame: string | Uint8Array): void {
    if (this.closedByClient !== undefined) return
    this.frames.push(frame)
    for (const message of parseClientFrame(JSON.parse(String(frame)))) {
      if (message.type === 'broken') throw message.error
      this.#inbox.push(message)
    }
  }

  close(code: number, reason: string): void {
    this.closedByClient ??= { code, reason }
  }

  /** The messages that came since the last call. */
  take(): ClientMessage[] {
    const messages = this.#inbox
    this.#inbox = []
    return messages
  }

  /** The one message of a type that came since the last call; other types are dropped. */
  takeOne<T extends ClientMessage['type']>(type: T): Extract<ClientMessage, { type: T }> {
    const found = this.take().filter((message): message is Extract<ClientMessage, { type: T }> => message.type === type)
    const [message] = found
    if (found.length !== 1 || message === undefined) throw new Error(`expected one ${type}, got ${found.length}`)
    return message
  }

  takeSubscribe(): SubscribeMessage {
    return this.takeOne('subscribe')
  }

  takeRequest(): RequestMessage {
    return this.takeOne('request')
  }

  open(): this {
    this.request.onOpen()
    return this
  }

  /** Sends messages as one frame. */
  say(...messages: readonly (ServerMessage | Readonly<Record<string, unknown>>)[]): this {
    if (this.closedByClient === undefined)
      this.request.onFrame(JSON.stringify(messages.length === 1 ? messages[0] : messages))
    return this
  }

  welcome(fields: Readonly<Record<string, unknown>> = {}): this {
    return this.say({
      type: 'welcome',
      version: 1,
      connection: 'c1',
      heartbeat: { interval: 25_000, timeout: 10_000 },
      limits: { subscriptions: 100, frame: 65_536, have: 1_000 },
      ...fields,
    })
  }

  /** The link breaks, or the server closes it without a word. */
  drop(code = 1006, reason = ''): void {
    if (this.closedByClient === undefined) this.request.onClose(code, reason)
  }

  /** The server says goodbye and closes. */
  goodbye(code: number, fields: { readonly after?: number; readonly again?: boolean } = {}): void {
    this.say({ type: 'goodbye', code, reason: 'because', again: code > 4449, ...fields })
    this.drop(code, 'because')
  }
}

/** A transport whose other end is the test. */
export class ScriptedTransport implements ClientTransport {
  readonly name: string
  readonly links: ScriptedLink[] = []

  constructor(name = 'scripted') {
    this.name = name
  }

  connect(request: TransportRequest): TransportLink {
    const link = new ScriptedLink(request)
    this.links.push(link)
    return link
  }

  /** The latest link. */
  get link(): ScriptedLink {
    const link = this.links.at(-1)
    if (link === undefined) throw new Error('the client has not connected')
    return link
  }
}
