import {
  type Api,
  type Clock,
  type Codec,
  type Handshake,
  type Limits,
  type TransportSocket,
  defaultLimits,
  jsonCodec,
} from '@rtapi/core'
import { Queue } from './queue.ts'

/** What a transport told about one client. */
export type Heard =
  | { readonly type: 'received'; readonly data: string | Uint8Array }
  | { readonly type: 'drained' }
  | { readonly type: 'closed'; readonly code: number; readonly reason: string }

export interface AcceptedClient {
  readonly socket: TransportSocket
  readonly handshake: Handshake
  readonly codec: Codec
  readonly heard: Queue<Heard>
}

/** A clock that stands still until a test moves it. */
export class StillClock implements Clock {
  #now = 0
  #timers = new Set<{ readonly at: number; readonly run: () => void }>()

  now(): number {
    return this.#now
  }

  monotonic(): number {
    return this.#now
  }

  setTimer(delay: number, run: () => void): () => void {
    const timer = { at: this.#now + delay, run }
    this.#timers.add(timer)
    return () => this.#timers.delete(timer)
  }

  defer(run: () => void): void {
    setImmediate(run)
  }

  get timers(): number {
    return this.#timers.size
  }

  advance(milliseconds: number): void {
    this.#now += milliseconds
    for (const timer of this.#timers) {
      if (timer.at > this.#now) continue
      this.#timers.delete(timer)
      timer.run()
    }
  }
}

/** The part of an API that a transport sees; it answers nothing by itself. */
export class FakeApi implements Api {
  readonly ready: Promise<void> = Promise.resolve()
  readonly limits: Limits
  readonly codecs: readonly Codec[]
  readonly clock = new StillClock()
  readonly clients = new Queue<AcceptedClient>()
  /** Called in the middle of `accept`. */
  onAccept: ((client: AcceptedClient) => void) | undefined

  constructor({ limits = {}, codecs = [jsonCodec] }: { limits?: Partial<Limits>; codecs?: readonly Codec[] } = {}) {
    this.limits = { ...defaultLimits, ...limits }
    this.codecs = codecs
  }

  accept(socket: TransportSocket, handshake: Handshake, codec: Codec): ReturnType<Api['accept']> {
    const heard = new Queue<Heard>()
    const client = { socket, handshake, codec, heard }
    this.clients.push(client)
    this.onAccept?.(client)
    return {
      receive: (data) => heard.push({ type: 'received', data }),
      drained: () => heard.push({ type: 'drained' }),
      closed: (code, reason) => heard.push({ type: 'closed', code, reason }),
    }
  }

  readonly report = (error: unknown): never => {
    throw error
  }
  readonly sessions = { end: (): Promise<void> => Promise.resolve(), refresh: (): Promise<void> => Promise.resolve() }
  stats(): never {
    throw new Error('a transport has no use for stats')
  }
  close(): Promise<void> {
    return Promise.resolve()
  }
}
