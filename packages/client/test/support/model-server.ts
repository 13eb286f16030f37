import {
  type ClientMessage,
  type OrderTerm,
  type RequestMessage,
  type ServerMessage,
  type SubscribeMessage,
  type WireChange,
  compareRows,
  parseClientFrame,
} from '@rtapi/core/protocol'
import type { ClientTransport, TransportLink, TransportRequest } from '../../src/client-transport.ts'

/** The model's rows: `rev` tells every version of every row apart. */
export type ModelRow = { readonly id: number; readonly topicId: number; readonly rank: number; readonly rev: number }
type State = ReadonlyMap<number, ModelRow>

const modelOrder: readonly OrderTerm[] = [
  ['rank', 'desc', 'integer'],
  ['id', 'asc', 'integer'],
]

interface ModelFeed {
  readonly topic: number
  /** The state up to which its changes were sent. */
  sent: number
}

interface ModelSubscription {
  readonly topic: number
  /** Parts of a snapshot that are still to be sent. */
  parts: ServerMessage[]
}

/**
 * A server as small as one can be that keeps to the protocol, with all its freedoms in the hands of the test: when it
 * reads, how it splits snapshots and merges changes, which feeds it shares, when it forgets its history.
 */
export class ModelServer implements ClientTransport {
  readonly name = 'model'
  /** Every state there ever was. */
  readonly states: State[] = [new Map()]
  readonly #keys: number[] = [0]
  /** The oldest state from which a client may resume. */
  #floor = 0
  #lastHandle = 0
  link: ModelLink | undefined
  /** Topics of which changes were lost. */
  readonly gaps: Set<number> = new Set()

  get head(): number {
    return this.states.length - 1
  }

  connect(request: TransportRequest): TransportLink {
    this.link = new ModelLink(this, request)
    return this.link
  }

  write(id: number, row: { readonly topicId: number; readonly rank: number } | undefined): void {
    const next = new Map(this.states[this.head])
    if (row === undefined) next.delete(id)
    else next.set(id, { id, ...row, rev: this.states.length })
    this.states.push(next)
    this.#keys.push(id)
  }

  forget(): void {
    this.#floor = this.head
  }

  newHandle(): string {
    return `f${++this.#lastHandle}`
  }

  /** The rows of a topic in a state, in order. */
  view(topic: number, at: number): readonly ModelRow[] {
    const rows = [...(this.states[at] ?? new Map<number, ModelRow>()).values()]
    return rows.filter(({ topicId }) => topicId === topic).toSorted((a, b) => compareRows(modelOrder, a, b))
  }

  /** The keys written after a position; `undefined` where the history does not reach back. */
  writtenSince(position: string | undefined): ReadonlySet<number> | undefined {
    const at = Number(position?.slice(1))
    return position === undefined || at < this.#floor ? undefined : new Set(this.#keys.slice(at + 1))
  }

  /** What turns the view of one state into that of another: each step, or only the difference. */
  changes(topic: number, from: number, to: number, how: 'steps' | 'difference'): WireChange[] {
    if (how === 'difference' || from === to) return this.#difference(topic, from, to)
    return Array.from({ length: to - from }, (_, i) => this.#difference(topic, from + i, from + i + 1)).flat()
  }

  #difference(topic: number, from: number, to: number): WireChange[] {
    const before = new Map(this.view(topic, from).map((row) => [row.id, row]))
    const changes: WireChange[] = []
    for (const row of this.view(topic, to)) {
      const had = before.get(row.id)
      before.delete(row.id)
      if (had === undefined) changes.push({ action: 'enter', key: row.id, data: row })
      else if (had.rev !== row.rev) changes.push({ action: 'update', key: row.id, data: row })
    }
    for (const id of before.keys()) {
      changes.unshift({ action: this.states[to]?.has(id) === true ? 'leave' : 'delete', key: id })
    }
    return changes
  }
}

/** One way to the model; of several, each has a link of its own. */
export class ModelLane implements ClientTransport {
  readonly name: string
  /** Links cannot be opened. */
  blocked = false
  link: ModelLink | undefined
  readonly #server: ModelServer

  constructor(server: ModelServer, name: string) {
    this.#server = server
    this.name = name
  }

  connect(request: TransportRequest): TransportLink {
    this.link = new ModelLink(this.#server, request)
    return this.link
  }

  /** Delivers the next frame to the client. */
  deliver(): boolean {
    if (this.blocked && this.link?.closed === false) {
      this.link.drop()
      return true
    }
    return this.link?.deliver() ?? false
  }
}

/** One link to the model. */
export class ModelLink implements TransportLink {
  readonly inbox: ClientMessage[] = []
  readonly outbox: (readonly ServerMessage[])[] = []
  closed = false
  readonly #server: ModelServer
  readonly #request: TransportRequest
  readonly #feeds = new Map<string, ModelFeed>()
  readonly #subscriptions = new Map<string, ModelSubscription>()
  #open = false

  constructor(server: ModelServer, request: TransportRequest) {
    this.#server = server
    this.#request = request
  }

  send(frame: string | Uint8Array): void {
    if (this.closed) return
    for (const message of parseClientFrame(JSON.parse(String(frame)))) {
      if (message.type === 'broken') throw message.error
      this.inbox.push(message)
    }
  }

  close(): void {
    this.closed = true
  }

  /** The link breaks; what was not delivered is lost. */
  drop(): void {
    if (this.closed) return
    this.closed = true
    this.#request.onClose(1006, '')
  }

  /** Delivers the next frame, or opens the link; answers whether there was anything. */
  deliver(): boolean {
    if (this.closed) return false
    if (!this.#open) {
      this.#open = true
      this.#request.onOpen()
      return true
    }
    const frame = this.outbox.shift()
    if (frame === undefined) return false
    this.#request.onFrame(JSON.stringify(frame))
    return true
  }

  /** Loses a frame that holds nothing but changes: a gap, which the next change of its feed will show. */
  lose(at: number): void {
    const lossy = this.outbox.flatMap((frame, i) => (frame.every(({ type }) => type === 'changes') ? [i] : []))
    const chosen = lossy[at % Math.max(1, lossy.length)]
    if (chosen === undefined) return
    for (const message of this.outbox.splice(chosen, 1).flat()) {
      const feed = message.type === 'changes' ? this.#feeds.get(message.feed) : undefined
      if (feed !== undefined) this.#server.gaps.add(feed.topic)
    }
  }

  /** Reads the next message; answers whether there was one. */
  serve({ share, parts }: { readonly share: boolean; readonly parts: number }): boolean {
    const message = this.inbox.shift()
    if (this.closed || message === undefined) return false
    switch (message.type) {
      case 'hello':
        this.#say({
          type: 'welcome',
          version: 1,
          connection: 'c',
          heartbeat: { interval: 25_000, timeout: 10_000 },
          limits: { subscriptions: 100, frame: 65_536, have: 1_000 },
        })
        break
      case 'subscribe':
        this.#subscribe(message, share, parts)
        break
      case 'unsubscribe':
        this.#subscriptions.delete(message.id)
        this.#say({ type: 'end', id: message.id })
        break
      case 'request':
        this.#answer(message)
        break
      case 'ping':
        this.#say({ type: 'pong' })
        break
      default:
    }
    return true
  }

  /** Writes a row, and answers when the views of this link have it; or reads, which anybody may. */
  #answer({ id, action, data }: RequestMessage): void {
    if (action === 'create') {
      const row = data as { readonly id: number; readonly topicId: number; readonly rank: number }
      this.#server.write(row.id, row)
      this.flushAll()
      this.#say({ type: 'reply', id, ok: true, key: row.id, tx: `x${this.#server.head}` })
    } else this.#say({ type: 'reply', id, ok: true, rows: [] })
  }

  #subscribe(message: SubscribeMessage, share: boolean, parts: number): void {
    const topic = Number(message.where?.['topicId'])
    const subscription: ModelSubscription = { topic, parts: [] }
    this.#subscriptions.set(message.id, subscription)
    const { head } = this.#server
    const written = message.have === undefined ? undefined : this.#server.writtenSince(message.since)
    if (written === undefined) {
      if (message.since !== undefined) this.#say({ type: 'reset', id: message.id, reason: 'gap' })
      this.#snapshot(message.id, subscription, share, parts)
      return
    }
    const handle = this.#server.newHandle()
    this.#feeds.set(handle, { topic, sent: head })
    const view = this.#server.view(topic, head)
    const keys = new Set<unknown>(view.map(({ id }) => id))
    const gone = (message.have ?? []).filter((key) => !keys.has(key))
    const position = `p${head}`
    this.#say(
      {
        type: 'snapshot',
        id: message.id,
        feed: handle,
        rows: view.filter(({ id }) => written.has(id)).map((data) => ({ key: data.id, data })),
        part: 0,
        done: true,
        position,
        order: modelOrder,
      },
      {
        type: 'changes',
        feed: handle,
        from: position,
        to: position,
        changes: gone.map((key) => ({ action: 'delete', key })),
      },
    )
  }

  /** Begins a whole snapshot of now; its parts go out one by one. */
  #snapshot(id: string, subscription: ModelSubscription, share: boolean, count: number): void {
    const { topic } = subscription
    const { head } = this.#server
    const shared = share ? [...this.#feeds].find(([, feed]) => feed.topic === topic)?.[0] : undefined
    const handle = shared ?? this.#server.newHandle()
    if (shared === undefined) this.#feeds.set(handle, { topic, sent: head })
    const rows = this.#server.view(topic, head)
    const size = Math.max(1, Math.ceil(rows.length / (count + 1)))
    const total = Math.max(1, Math.ceil(rows.length / size))
    subscription.parts = Array.from({ length: total }, (_, part) => ({
      type: 'snapshot',
      id,
      feed: handle,
      rows: rows.slice(part * size, (part + 1) * size).map((data) => ({ key: data.id, data })),
      part,
      done: part === total - 1,
      ...(part === total - 1 ? { position: `p${head}` } : {}),
      ...(part === 0 ? { order: modelOrder } : {}),
    }))
  }

  /** Sends the next part of a snapshot; answers whether there was one. */
  sendPart(): boolean {
    for (const { parts } of this.#subscriptions.values()) {
      const part = parts.shift()
      if (part === undefined) continue
      this.#say(part)
      return true
    }
    return false
  }

  /** Sends what a feed has not sent yet, or the first `states` of it, as one message. */
  flush(at: number, states: number, how: 'steps' | 'difference'): void {
    const handles = [...this.#feeds.keys()]
    const handle = handles[at % Math.max(1, handles.length)]
    const feed = handle === undefined ? undefined : this.#feeds.get(handle)
    if (feed === undefined || handle === undefined || feed.sent === this.#server.head) return
    const from = feed.sent
    feed.sent = Math.min(this.#server.head, from + states)
    const changes = this.#server.changes(feed.topic, from, feed.sent, how)
    this.#say({ type: 'changes', feed: handle, from: `p${from}`, to: `p${feed.sent}`, changes })
  }

  flushAll(): void {
    for (let i = 0; i < this.#feeds.size; i++) this.flush(i, Number.MAX_SAFE_INTEGER, 'difference')
  }

  /** Starts a subscription over. */
  reset(at: number, options: { readonly share: boolean; readonly parts: number; readonly policy: boolean }): void {
    const id = this.#choose(at)
    const subscription = id === undefined ? undefined : this.#subscriptions.get(id)
    if (id === undefined || subscription === undefined) return
    this.#say({ type: 'reset', id, reason: options.policy ? 'policy' : 'overflow' })
    this.#snapshot(id, subscription, options.share, options.parts)
  }

  /** Ends a subscription that may come again. */
  end(at: number): void {
    const id = this.#choose(at)
    if (id === undefined) return
    this.#subscriptions.delete(id)
    this.#say({ type: 'end', id, again: true })
  }

  #choose(at: number): string | undefined {
    const ids = [...this.#subscriptions.keys()]
    return ids[at % Math.max(1, ids.length)]
  }

  #say(...messages: readonly ServerMessage[]): void {
    if (!this.closed) this.outbox.push(messages)
  }
}
