import {
  type Api,
  type ApiStats,
  type Clock,
  type Codec,
  type EncodedFrame,
  type Handshake,
  type Limits,
  type ServerMessage,
  type SocketEvents,
  type TransportSocket,
  defaultLimits,
  jsonCodec,
  systemClock,
} from '@rtapi/core'
import { waitFor } from './wait-for.ts'

/** One link that a transport handed over, and all that has happened on it. */
export interface RecordedLink {
  readonly socket: TransportSocket
  readonly handshake: Handshake
  readonly codec: Codec
  /** Frames as they came. */
  readonly received: readonly (string | Uint8Array)[]
  /** How often `drained` was called. */
  readonly drains: number
  /** Each call of `closed`; a right transport makes one. */
  readonly closings: readonly { readonly code: number; readonly reason: string }[]
  /** Sends a message as one frame, encoded by the link's codec, and answers the frame. */
  send(message: ServerMessage | readonly ServerMessage[]): EncodedFrame
  /** Waits until this many frames have been received in all. */
  untilReceived(count: number): Promise<void>
  untilClosed(): Promise<{ readonly code: number; readonly reason: string }>
  /** Waits until `drained` has been called this many times in all. @default 1 */
  untilDrained(count?: number): Promise<void>
}

/** An API that does nothing but record what a transport does with it: to test a transport alone. */
export interface RecordingApi extends Api {
  readonly links: readonly RecordedLink[]
  /** What was given to `report`. */
  readonly reports: readonly unknown[]
  /** Waits for the link with this number, counted from 0. */
  link(index: number): Promise<RecordedLink>
}

export interface RecordingApiOptions {
  readonly limits?: Partial<Limits>
  /** @default [jsonCodec] */
  readonly codecs?: readonly Codec[]
  /** @default systemClock */
  readonly clock?: Clock
  /** What is done in the middle of `accept`. */
  readonly onAccept?: (link: RecordedLink) => void
  /** What is done with each frame besides recording it. */
  readonly onReceive?: (link: RecordedLink, data: string | Uint8Array) => void
  /** Milliseconds of real time after which waiting fails. @default 5_000 */
  readonly timeout?: number
}

/** Makes a recording API. */
export function recordingApi(options: RecordingApiOptions = {}): RecordingApi {
  const links: Link[] = []
  const reports: unknown[] = []
  const arrivals = new Arrivals(options.timeout ?? 5_000)
  const stats = (): ApiStats => ({
    connections: links.filter(({ closings }) => closings.length === 0).length,
    subscriptions: 0,
    feeds: 0,
    groups: 0,
    timers: 0,
  })
  return {
    ready: Promise.resolve(),
    limits: { ...defaultLimits, ...options.limits },
    codecs: options.codecs ?? [jsonCodec],
    clock: options.clock ?? systemClock,
    report: (error) => void reports.push(error),
    links,
    reports,
    accept(socket, handshake, codec) {
      const link = new Link({ socket, handshake, codec }, arrivals)
      links.push(link)
      arrivals.tell()
      options.onAccept?.(link)
      return link.events(options.onReceive)
    },
    link: (index) => arrivals.wait(`link ${index}, of ${links.length}`, () => links[index]),
    sessions: {
      end: () => Promise.resolve(),
      refresh: () => Promise.resolve(),
      list: () => Promise.resolve({ connections: [], complete: true }),
    },
    touch: () => Promise.resolve(),
    stats,
    close() {
      for (const { socket } of links) socket.close(4452, 'draining')
      return Promise.resolve()
    },
  }
}

/** Who waits for something to happen. */
class Arrivals {
  readonly #timeout: number
  readonly #waiting = new Set<() => void>()

  constructor(timeout: number) {
    this.#timeout = timeout
  }

  tell(): void {
    for (const run of this.#waiting) run()
  }

  wait<T>(what: string, take: () => T | undefined, story: () => string = () => ''): Promise<T> {
    return waitFor({
      what,
      timeout: this.#timeout,
      take,
      onArrival: (run) => {
        this.#waiting.add(run)
        return () => this.#waiting.delete(run)
      },
      story,
    })
  }
}

class Link implements RecordedLink {
  readonly socket: TransportSocket
  readonly handshake: Handshake
  readonly codec: Codec
  readonly received: (string | Uint8Array)[] = []
  readonly closings: { code: number; reason: string }[] = []
  drains = 0
  readonly #arrivals: Arrivals

  constructor(link: Pick<RecordedLink, 'socket' | 'handshake' | 'codec'>, arrivals: Arrivals) {
    this.socket = link.socket
    this.handshake = link.handshake
    this.codec = link.codec
    this.#arrivals = arrivals
  }

  events(onReceive: RecordingApiOptions['onReceive']): SocketEvents {
    return {
      receive: (data) => {
        this.received.push(data)
        this.#arrivals.tell()
        onReceive?.(this, data)
      },
      drained: () => {
        this.drains++
        this.#arrivals.tell()
      },
      closed: (code, reason) => {
        this.closings.push({ code, reason })
        this.#arrivals.tell()
      },
    }
  }

  send(message: ServerMessage | readonly ServerMessage[]): EncodedFrame {
    const frame = { data: this.codec.encode(message) }
    this.socket.send(frame)
    return frame
  }

  async untilReceived(count: number): Promise<void> {
    await this.#wait(`${count} frames`, () => (this.received.length >= count ? true : undefined))
  }

  untilClosed(): Promise<{ readonly code: number; readonly reason: string }> {
    return this.#wait('the end of the link', () => this.closings[0])
  }

  async untilDrained(count = 1): Promise<void> {
    await this.#wait('the socket to drain', () => (this.drains >= count ? true : undefined))
  }

  #wait<T>(what: string, take: () => T | undefined): Promise<T> {
    return this.#arrivals.wait(what, take, () => `(${this.received.length} frames received)`)
  }
}
