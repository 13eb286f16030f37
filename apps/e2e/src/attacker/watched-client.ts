import type { ClientMessage, Key, ReplyMessage, ServerMessage } from '@rtapi/core/protocol'
import type { BoardLine } from '../../../board/src/board-line.ts'
import { type LinkName, links } from '../transports.ts'
import { type RequestFields, WireClient } from '../wire-client.ts'
import type { BoardModel, Viewer } from './board-model.ts'
import { type Scan, type ScanningProxy, startScanningProxy } from './scanning-proxy.ts'

/** What is searched for: texts of records, and the requests behind whose replies nothing older comes. */
const marks = /canary-\w+-\d+-|caughtup-(\d+)-/g

/** Texts that came to a client, and between which states of the board they were sent. */
export interface Arrival {
  readonly client: WatchedClient
  readonly texts: readonly string[]
  readonly since: number
  readonly until: number
}

/** A client of which every byte is read that comes to it, over one transport and as one user. */
export class WatchedClient {
  readonly viewer: Viewer
  readonly transport: LinkName
  isPaused = false
  readonly #model: BoardModel
  readonly #token: string | undefined
  #proxy: ScanningProxy | undefined
  #client: WireClient | undefined
  #isGone = true
  #asked = 0
  /** What comes now was sent in this state or later: something that was asked then has been answered. */
  #since = 0

  constructor(model: BoardModel, transport: LinkName, viewer: Viewer, token: string | undefined) {
    this.#model = model
    this.transport = transport
    this.viewer = viewer
    this.#token = token
  }

  async start(board: BoardLine, arrived: (arrival: Arrival) => void): Promise<void> {
    this.#proxy = await startScanningProxy(board, () => this.#scan(arrived))
  }

  get isGone(): boolean {
    return this.#isGone
  }

  /** Comes back, if it is gone, perhaps to be refused. @param first - goes in the first frame. */
  async come(first: readonly ClientMessage[] = []): Promise<void> {
    if (this.#proxy === undefined || !this.#isGone) return
    this.#since = this.#model.now
    const credentials = this.#token === undefined ? {} : { token: this.#token }
    const client = new WireClient(this.#proxy.line, { ...credentials, open: links[this.transport], first })
    this.#client = client
    this.#isGone = false
    client.closed.then(() => {
      if (this.#client === client) this.#isGone = true
    }, reportNothing)
    await Promise.race([client.welcomed, client.closed]).catch(reportNothing)
  }

  /** Is lost, and comes back with the position it had last and keys that it may never have had. */
  async comeBack(keys: readonly Key[]): Promise<void> {
    const since = this.#client?.messages.findLast(({ type }) => type === 'snapshot' || type === 'changes')
    this.resume()
    this.#proxy?.cut()
    await this.#client?.cut()
    const position = since?.type === 'snapshot' ? since.position : since?.type === 'changes' ? since.to : undefined
    const back = { type: 'subscribe', id: 'back', resource: 'tasks', have: keys } as const
    await this.come(position === undefined ? [] : [{ ...back, since: position }])
  }

  send(message: ClientMessage): void {
    if (!this.#isGone) this.#client?.send(message)
  }

  /** Waits for the reply, or for the end of the link. */
  async request(resource: string, action: string, fields: RequestFields = {}): Promise<void> {
    const client = this.#client
    if (this.#isGone || client === undefined || this.isPaused) return
    await Promise.race([client.request(resource, action, fields), client.closed])
  }

  /** From now on nothing may come that was sent before: what is asked now is answered behind it. */
  async catchUp(): Promise<void> {
    const client = this.#client
    if (this.#isGone || this.isPaused || client === undefined) return
    const { now } = this.#model
    const id = `caughtup-${now}-${++this.#asked}`
    client.send({ type: 'request', id, resource: 'projects', action: 'get', key: 1_000_000 })
    const isReply = (message: ServerMessage): message is ReplyMessage => message.type === 'reply' && message.id === id
    await Promise.race([client.until(isReply), client.closed])
    if (!this.#isGone) this.#since = now
  }

  pause(): void {
    this.isPaused = true
    this.#proxy?.pause()
  }

  resume(): void {
    this.isPaused = false
    this.#proxy?.resume()
  }

  /**
   * Reads one connection. A client may have several at once, over which the same frames come twice: so each is as late as
   * what was answered on it, or to the client before it was opened.
   */
  #scan(arrived: (arrival: Arrival) => void): Scan {
    let since = this.#since
    return (text, fresh) => {
      const texts: string[] = []
      let caughtUp = since
      for (const { 0: mark, 1: state, index } of text.matchAll(marks)) {
        if (index + mark.length <= fresh) continue
        if (state === undefined) texts.push(mark)
        else caughtUp = Number(state)
      }
      if (texts.length > 0) arrived({ client: this, texts, since, until: this.#model.now })
      since = Math.max(since, caughtUp)
    }
  }

  async stop(): Promise<void> {
    this.resume()
    await this.#client?.cut()
    await this.#proxy?.stop()
  }
}

/** What becomes of it is looked at elsewhere. */
function reportNothing(): void {}
