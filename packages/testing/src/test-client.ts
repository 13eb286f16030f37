import {
  type Api,
  type ClientMessage,
  type Codec,
  type Handshake,
  type ReplyMessage,
  type RequestMessage,
  RtapiError,
  type ServerMessage,
  type SubscribeMessage,
  type WelcomeMessage,
} from '@rtapi/core'
import { canSettle, settle } from './event-loop.ts'
import { type Closing, TestSocket } from './test-socket.ts'
import { TestView } from './test-view.ts'
import { ViewState } from './view-state.ts'
import { waitFor } from './wait-for.ts'

export interface ConnectOptions {
  /** Given in `hello`. */
  readonly token?: string
  /** Say `hello` and wait for `welcome`. @default true */
  readonly hello?: boolean
  /** Names in lower case. */
  readonly headers?: Handshake['headers']
  /** One of the codecs of the API. @default the first */
  readonly codec?: Codec
  /** Answer each `ping` with `pong` and keep pings out of the queue. @default true */
  readonly pong?: boolean
  /** Milliseconds of real time after which waiting fails. @default 5_000 */
  readonly timeout?: number
}

type MessageOf<T extends ServerMessage['type']> = Extract<ServerMessage, { readonly type: T }>
type WithoutId<M> = Omit<M, 'type' | 'id'> & { readonly id?: string }

/**
 * Connects a client to an API, in this process and without a network.
 * @throws Error if the server closes the link instead of saying `welcome`.
 */
export async function connect(api: Api, options: ConnectOptions = {}): Promise<TestClient> {
  const client = new TestClient(api, options)
  if (options.hello !== false) await client.hello(options.token)
  return client
}

/**
 * A client that speaks the wire protocol in plain messages. Messages wait in a queue until they are taken with `next`;
 * those of a view made by `subscribe` go to the view. Waiting moves a fake clock's deferred work, but not its time.
 * Anything the server does against the protocol makes the next wait fail.
 */
export class TestClient {
  /** All messages that were read, in order. */
  readonly messages: ServerMessage[] = []
  /** The server's answer to `hello`. */
  welcome: WelcomeMessage | undefined
  readonly #api: Api
  readonly #options: ConnectOptions
  readonly #codec: Codec
  readonly #socket: TestSocket
  readonly #views = new Map<string, ViewState>()
  readonly #violations: string[] = []
  /** Feeds of subscriptions that were sent by hand: their messages are in the queue. */
  readonly #feedsByHand = new Set<string>()
  readonly #arrivals = new Set<() => void>()
  #queue: ServerMessage[] = []
  #lastId = 0
  #token: string | undefined

  constructor(api: Api, options: ConnectOptions) {
    const codec = options.codec ?? api.codecs[0]
    if (codec === undefined) throw new TypeError('the API has no codec')
    this.#api = api
    this.#options = options
    this.#codec = codec
    this.#socket = new TestSocket(api.limits.frame, { read: (data) => this.#read(data), closed: () => this.#arrived() })
    const handshake: Handshake = { transport: 'test', url: '/', headers: options.headers ?? {}, remoteAddress: '::1' }
    this.#socket.attach(api.accept(this.#socket, handshake, codec))
  }

  /** Every frame the server sent, as bytes or text, also those not read yet. */
  get frames(): readonly (string | Uint8Array)[] {
    return this.#socket.frames
  }

  /** Everything the server sent as one text, to search for what must not be in it. */
  get received(): string {
    const utf8 = new TextDecoder()
    return this.frames.map((data) => (typeof data === 'string' ? data : utf8.decode(data))).join('\n')
  }

  /** How the link ended; `undefined` while it stands. */
  get closed(): Closing | undefined {
    return this.#socket.closing
  }

  /** The credentials that were given last. */
  get token(): string | undefined {
    return this.#token
  }

  /** Connects anew, with other credentials or none, and all else as it was. */
  async reconnect(token?: string): Promise<TestClient> {
    const { token: _, ...options } = this.#options
    return await connect(this.#api, { ...options, ...(token === undefined ? {} : { token }) })
  }

  /** Says `hello` and waits for `welcome`. */
  async hello(token?: string): Promise<WelcomeMessage> {
    this.#token = token
    this.send({ type: 'hello', versions: [1], ...(token === undefined ? {} : { token }) })
    this.welcome = await this.next('welcome')
    return this.welcome
  }

  /** Sends a message, or several as one frame. */
  send(message: ClientMessage | readonly ClientMessage[]): void {
    // A codec writes any frame; its type names only what servers write with it.
    this.sendRaw(this.#codec.encode(message as unknown as ServerMessage))
  }

  /** Sends a frame as it is, for frames that are broken. */
  sendRaw(data: string | Uint8Array): void {
    this.#socket.receive(data)
  }

  /** Takes the next message out of the queue: the first of all, or the first of a type. */
  next(): Promise<ServerMessage>
  next<T extends ServerMessage['type']>(type: T): Promise<MessageOf<T>>
  next(type?: ServerMessage['type']): Promise<ServerMessage> {
    return this.#wait(type === undefined ? 'a message' : `a message '${type}'`, () =>
      this.#take((message): message is ServerMessage => type === undefined || message.type === type),
    )
  }

  /**
   * Proves that nothing comes: all work under way comes to rest, and then no message is in the queue, nor has one come
   * for a view.
   * @throws Error that names what came.
   */
  async receiveNothing(): Promise<void> {
    const before = this.messages.length
    await settle(this.#api.clock)
    const came = this.#queue.length > 0 ? this.#queue : this.messages.slice(before)
    if (came.length > 0) throw new Error(`expected nothing, but received ${describe(came)}`)
    this.#checkViolations()
  }

  /** Sends a request and waits for its reply, be it a failure. Without an `id` it gets one. */
  request(request: WithoutId<RequestMessage>): Promise<ReplyMessage> {
    const id = request.id ?? this.#nextId()
    this.send({ ...request, type: 'request', id })
    return this.reply(id)
  }

  /** Waits for the reply to a message sent by hand. */
  reply(id: string): Promise<ReplyMessage> {
    return this.#wait(`the reply to '${id}'`, () =>
      this.#take((message): message is ReplyMessage => message.type === 'reply' && message.id === id),
    )
  }

  /** Gives new credentials in place, or `null` for none, and waits for the reply. */
  authenticate(token: string | null): Promise<ReplyMessage> {
    const id = this.#nextId()
    this.#token = token ?? undefined
    this.send({ type: 'auth', id, token })
    return this.reply(id)
  }

  /**
   * Subscribes and waits for the whole snapshot.
   * @throws RtapiError if the server answers with `end` and an error.
   */
  async subscribe(subscribe: WithoutId<SubscribeMessage>): Promise<TestView> {
    return await this.#open(subscribe, undefined)
  }

  /** Goes on with a view of an earlier connection, from its position and with the rows that it holds. */
  async resubscribe(view: TestView): Promise<TestView> {
    const { position } = view
    if (position === undefined) throw new TypeError('the view has no position to resume from')
    return await this.#open({ ...view.query, since: position, have: view.keys }, view)
  }

  /** Stops reading: the server's `bufferedAmount` grows. */
  pause(): void {
    this.#socket.pause()
  }

  /** Reads what has gathered, and goes on reading. */
  resume(): void {
    this.#socket.resume()
  }

  /** Ends the link, and lets the server clear up. */
  async close(code = 1000, reason = ''): Promise<void> {
    this.#socket.closeByClient(code, reason)
    await settle(this.#api.clock)
  }

  /** Waits until the link has ended, and says how. */
  untilClosed(): Promise<Closing> {
    return this.#wait('the end of the link', () => this.closed)
  }

  async #open(subscribe: WithoutId<SubscribeMessage>, from: TestView | undefined): Promise<TestView> {
    const id = subscribe.id ?? this.#nextId()
    const state = new ViewState(id, from === undefined ? undefined : { rows: from.wireRows, order: from.order })
    this.#views.set(id, state)
    this.send({ ...subscribe, type: 'subscribe', id })
    await this.#wait(`the snapshot of '${id}'`, () => (state.whole || state.end !== undefined ? state : undefined))
    if (state.end?.error !== undefined) {
      const { code, message, retryAfter, details } = state.end.error
      throw new RtapiError(code, message, { retryAfter, details })
    }
    return new TestView(state, subscribe, {
      wait: (what, take) => this.#wait(what, take),
      unsubscribe: () => this.send({ type: 'unsubscribe', id }),
    })
  }

  #read(data: string | Uint8Array): void {
    const frame = this.#codec.decode(data) as ServerMessage | readonly ServerMessage[]
    for (const message of Array.isArray(frame) ? (frame as readonly ServerMessage[]) : [frame as ServerMessage]) {
      if (message.type === 'ping' && this.#options.pong !== false) queueMicrotask(() => this.send({ type: 'pong' }))
      else this.#receive(message)
    }
    this.#arrived()
  }

  #receive(message: ServerMessage): void {
    this.messages.push(message)
    if (message.type === 'changes') return this.#receiveChanges(message)
    const view = isAboutView(message) ? this.#views.get(message.id) : undefined
    if (view !== undefined && isAboutView(message)) return view.apply(message)
    if (message.type === 'snapshot') this.#feedsByHand.add(message.feed)
    this.#queue.push(message)
  }

  /** One frame serves all views of a feed. One whose snapshot is still under way will contain these changes. */
  #receiveChanges(message: MessageOf<'changes'>): void {
    const whole = [...this.#views.values()].filter((view) => view.feed === message.feed && view.whole)
    for (const view of whole) view.apply(message)
    if (this.#feedsByHand.has(message.feed)) this.#queue.push(message)
    else if (whole.length === 0) this.#violations.push(`changes of feed ${message.feed}, of which no view is whole`)
  }

  #take<T extends ServerMessage>(accepts: (message: ServerMessage) => message is T): T | undefined {
    const found = this.#queue.find(accepts)
    if (found !== undefined) this.#queue = this.#queue.filter((message) => message !== found)
    return found
  }

  #wait<T>(what: string, take: () => T | undefined): Promise<T> {
    const { clock } = this.#api
    return waitFor({
      what,
      timeout: this.#options.timeout ?? 5_000,
      take: () => {
        this.#checkViolations()
        const found = take()
        if (found === undefined && this.closed !== undefined) {
          throw new Error(
            `the ${this.closed.by} closed with ${this.closed.code} ${this.closed.reason} ${this.#story()}`,
          )
        }
        return found
      },
      ...(canSettle(clock) ? { settle: () => clock.settle() } : {}),
      onArrival: (run) => {
        this.#arrivals.add(run)
        return () => this.#arrivals.delete(run)
      },
      story: () => this.#story(),
    })
  }

  #story(): string {
    return `(in the queue: ${describe(this.#queue)}; received in all: ${describe(this.messages)})`
  }

  #checkViolations(): void {
    const found = [...this.#violations, ...[...this.#views.values()].flatMap(({ violations }) => violations)]
    if (found.length > 0) throw new Error(`the server broke the protocol: ${found.join('; ')}`)
  }

  #arrived(): void {
    for (const run of this.#arrivals) run()
  }

  #nextId(): string {
    return `t${++this.#lastId}`
  }
}

type AboutView = MessageOf<'snapshot' | 'reset' | 'end'>

function isAboutView(message: ServerMessage): message is AboutView {
  return message.type === 'snapshot' || message.type === 'reset' || message.type === 'end'
}

function describe(messages: readonly ServerMessage[]): string {
  if (messages.length === 0) return 'nothing'
  const shown = messages.slice(-8).map((message) => JSON.stringify(message).slice(0, 300))
  return `${messages.length > 8 ? `… ${messages.length - 8} before, ` : ''}${shown.join(', ')}`
}
