import type { Api, ServerMessage, SubscribeMessage } from '@rtapi/core'
import { TestSocket } from '../../src/test-socket.ts'
import { ViewState } from '../../src/view-state.ts'

type Query = Omit<SubscribeMessage, 'type' | 'id' | 'resource' | 'since' | 'have'>

/** A client of the wire protocol that never waits: the test decides when anything moves. */
export class ModelClient {
  readonly user: number
  readonly views = new Map<
    string,
    { readonly query: Query; readonly state: ViewState; readonly from: ViewState | undefined }
  >()
  readonly violations: string[] = []
  readonly #socket: TestSocket
  #ids = 0

  constructor(api: Api, user: number) {
    const [codec] = api.codecs
    if (codec === undefined) throw new TypeError('no codec')
    this.user = user
    this.#socket = new TestSocket(api.limits.frame, {
      read: (data) => this.#read(String(data)),
      closed: () => undefined,
    })
    this.#socket.attach(api.accept(this.#socket, { transport: 'test', url: '/', headers: {} }, codec))
    this.#send({ type: 'hello', versions: [1], token: String(user) })
  }

  get isOpen(): boolean {
    return this.#socket.closing === undefined
  }

  get closing(): unknown {
    return this.#socket.closing
  }

  subscribe(query: Query): void {
    this.#open(query, undefined)
  }

  /** Goes on with a view of a lost connection. */
  resume({ query, state }: { readonly query: Query; readonly state: ViewState }): void {
    this.#open(query, state)
  }

  unsubscribe(id: string): void {
    this.views.delete(id)
    this.#send({ type: 'unsubscribe', id })
  }

  pause(): void {
    this.#socket.pause()
  }

  read(): void {
    this.#socket.resume()
  }

  close(): void {
    this.#socket.closeByClient(1006, '')
  }

  #open(query: Query, from: ViewState | undefined): void {
    const id = `v${++this.#ids}`
    const since = from?.position
    const resumes = from !== undefined && since !== undefined && from.whole
    this.views.set(id, {
      query,
      state: new ViewState(id, resumes ? { rows: from.wireRows, order: from.order } : undefined),
      from,
    })
    this.#send({ type: 'subscribe', id, resource: 'notes', ...query, ...(resumes ? { since, have: from.keys } : {}) })
  }

  #send(message: object): void {
    this.#socket.receive(JSON.stringify(message))
  }

  #read(data: string): void {
    const frame = JSON.parse(data) as ServerMessage | readonly ServerMessage[]
    for (const message of Array.isArray(frame) ? (frame as readonly ServerMessage[]) : [frame as ServerMessage])
      this.#apply(message)
  }

  #apply(message: ServerMessage): void {
    if (message.type === 'changes') {
      for (const { state } of this.views.values()) if (state.feed === message.feed && state.whole) state.apply(message)
    } else if (message.type === 'snapshot' || message.type === 'reset' || message.type === 'end') {
      this.views.get(message.id)?.state.apply(message)
    } else if (message.type === 'ping') this.#send({ type: 'pong' })
    else if (message.type === 'reply' && !message.ok) this.violations.push(`refused: ${JSON.stringify(message)}`)
    for (const { state } of this.views.values()) this.violations.push(...state.violations.splice(0))
  }
}
