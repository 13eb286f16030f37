// A client that knows nothing but the wire protocol, over Node's own WebSocket.
import type {
  ClientMessage,
  Key,
  ReplyMessage,
  RequestMessage,
  Row,
  ServerMessage,
  SubscribeMessage,
  WelcomeMessage,
} from '@rtapi/core/protocol'

const patience = 10_000

type Fields<M> = Omit<M, 'type' | 'id' | 'resource' | 'action'>

export interface WireOptions {
  readonly token?: string
  readonly headers?: Readonly<Record<string, string>>
}

/** Connects and says `hello`; `null`: without waiting for `welcome`. */
export async function connect(url: string, options: WireOptions = {}): Promise<WireClient> {
  const client = new WireClient(url, options)
  await client.welcomed
  return client
}

export class WireClient {
  readonly messages: ServerMessage[] = []
  readonly welcomed: Promise<WelcomeMessage>
  /** Resolves when the link is gone. */
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>
  readonly #socket: WebSocket
  readonly #views = new Map<string, WireView>()
  readonly #listeners = new Set<() => void>()
  #lastId = 0

  constructor(url: string, { token, headers = {} }: WireOptions) {
    // Node's WebSocket takes headers, which browsers' do not.
    const Socket = WebSocket as unknown as new (url: string, options: object) => WebSocket
    this.#socket = new Socket(url, { protocols: ['rtapi.v1.json'], headers })
    this.closed = new Promise((resolve) => {
      this.#socket.addEventListener('close', ({ code, reason }) => resolve({ code, reason }))
    })
    this.#socket.addEventListener('open', () =>
      this.send({ type: 'hello', versions: [1], ...(token === undefined ? {} : { token }) }),
    )
    this.#socket.addEventListener('message', ({ data }) => this.#receive(String(data)))
    this.welcomed = Promise.race([
      this.until((message): message is WelcomeMessage => message.type === 'welcome'),
      this.closed.then(({ code, reason }) => Promise.reject(new Error(`closed with ${code} ${reason}`))),
    ])
  }

  send(...messages: readonly ClientMessage[]): void {
    this.#socket.send(JSON.stringify(messages.length === 1 ? messages[0] : messages))
  }

  /** The next id of a request or subscription. */
  newId(): string {
    return `i${++this.#lastId}`
  }

  /** Sends a request and answers its reply. */
  async request(resource: string, action: string, fields: Fields<RequestMessage> = {}): Promise<ReplyMessage> {
    const id = this.newId()
    this.send({ type: 'request', id, resource, action, ...fields })
    return this.until((message): message is ReplyMessage => message.type === 'reply' && message.id === id)
  }

  /** Opens a live view and waits until it is whole. */
  async subscribe(resource: string, fields: Fields<SubscribeMessage> = {}): Promise<WireView> {
    const id = this.newId()
    const view = new WireView(id, (condition, what) => this.wait(condition, what))
    this.#views.set(id, view)
    this.send({ type: 'subscribe', id, resource, ...fields })
    await view.until(() => view.whole || view.ended !== undefined)
    return view
  }

  close(): Promise<unknown> {
    this.#socket.close()
    return this.closed
  }

  /** The first message, of those received so far or to come, that is meant. */
  async until<M extends ServerMessage>(isMeant: (message: ServerMessage) => message is M): Promise<M> {
    let found: M | undefined
    await this.wait(() => (found = this.messages.find(isMeant)) !== undefined, 'a message')
    if (found === undefined) throw new Error('unreachable')
    return found
  }

  /** Resolves when the condition holds, which is looked at after each frame. */
  async wait(condition: () => boolean, what: string): Promise<void> {
    if (condition()) return
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#listeners.delete(look)
        const last = this.messages.slice(-5).map((message) => JSON.stringify(message))
        reject(new Error(`waited ${patience} ms for ${what}; the last messages were:\n${last.join('\n')}`))
      }, patience)
      const look = (): void => {
        if (!condition()) return
        clearTimeout(timer)
        this.#listeners.delete(look)
        resolve()
      }
      this.#listeners.add(look)
    })
  }

  #receive(text: string): void {
    const frame = JSON.parse(text) as ServerMessage | readonly ServerMessage[]
    for (const message of Array.isArray(frame) ? (frame as readonly ServerMessage[]) : [frame as ServerMessage]) {
      this.messages.push(message)
      if (message.type === 'ping') this.send({ type: 'pong' })
      for (const view of this.#views.values()) view.take(message)
    }
    for (const look of this.#listeners) look()
  }
}

/** The rows of one subscription. */
export class WireView {
  readonly rows = new Map<Key, Row>()
  whole = false
  /** Why it ended, if it did. */
  ended: string | undefined
  /** What happened to rows since the first snapshot: `create 5`, `leave 7` … */
  readonly log: string[] = []
  readonly #id: string
  readonly #wait: (condition: () => boolean, what: string) => Promise<void>
  #feed: string | undefined
  #parts = new Map<Key, Row>()

  constructor(id: string, wait: (condition: () => boolean, what: string) => Promise<void>) {
    this.#id = id
    this.#wait = wait
  }

  get keys(): Key[] {
    return [...this.rows.keys()]
  }

  /** One field of every row. */
  all(field: string): unknown[] {
    return [...this.rows.values()].map((row) => row[field])
  }

  until(condition: () => boolean): Promise<void> {
    return this.#wait(condition, `a view, which has ${JSON.stringify([...this.rows.values()])}`)
  }

  take(message: ServerMessage): void {
    switch (message.type) {
      case 'snapshot':
        if (message.id !== this.#id) return
        this.#feed = message.feed
        if (message.part === 0) this.#parts = new Map()
        for (const { key, data } of message.rows) this.#parts.set(key, data)
        if (!message.done) return
        this.rows.clear()
        for (const [key, data] of this.#parts) this.rows.set(key, data)
        this.whole = true
        return
      case 'changes':
        if (message.feed !== this.#feed) return
        for (const { action, key, data } of message.changes) {
          this.log.push(`${action} ${JSON.stringify(key)}`)
          if (data === undefined) this.rows.delete(key)
          else this.rows.set(key, data)
        }
        return
      case 'reset':
        if (message.id !== this.#id) return
        this.whole = false
        if (message.reason === 'policy') this.rows.clear()
        return
      case 'end':
        if (message.id === this.#id) this.ended = message.error?.code ?? 'ended'
        return
      default:
    }
  }
}
