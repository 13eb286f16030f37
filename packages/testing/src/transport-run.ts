import { type Api, type Codec, type MaybePromise, jsonCodec } from '@rtapi/core'
import { check, checkEqual } from './conformance.ts'
import { settle } from './event-loop.ts'
import { type RecordedLink, type RecordingApi, type RecordingApiOptions, recordingApi } from './recording-api.ts'

/** The client's end of a link, which does by itself nothing but record. */
export interface RawLink {
  /** Frames as they came, whole and in order. */
  readonly received: readonly (string | Uint8Array)[]
  /** Settles with the code and reason by which the server ended the link; 1006 or any other if it was torn. */
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>
  /** Sends one frame. May reject if the server refuses it. */
  send(data: string | Uint8Array): MaybePromise<void>
  /** Ends the link as clients do. */
  close(): MaybePromise<void>
  /** Tears the link, as a lost network does. */
  abort(): MaybePromise<void>
  /** Stops reading from the network, so that what the server sends stays with the server. */
  pause(): void
  resume(): void
}

export interface RawConnect {
  /** Names in lower case; beside those that the transport's own clients send. */
  readonly headers?: Readonly<Record<string, string>>
  /** Of the codec that the client asks for. @default the first of the API */
  readonly codec?: string
}

/** An API served on this machine by the transport under test. */
export interface TransportSubject {
  /** The origin of pages that may connect. */
  readonly origin: string
  /** Rejects if the server refuses the link. */
  connect(options?: RawConnect): Promise<RawLink>
  /** Ends the service as the transport's users do. */
  close(): MaybePromise<void>
  /** Releases what is left of the server; called at the end of each case. */
  dispose?(): MaybePromise<void>
}

export interface TransportFactory {
  /** What the handshake calls the transport. */
  readonly name: string
  /** Serves this API at an address of its own. Called once for each case. */
  serve(api: Api): MaybePromise<TransportSubject>
  /** Whether frames may be bytes, or why not. */
  readonly binary: true | { readonly not: string }
  /** Writes the frames that are bytes. @default JSON as bytes, named `bytes` */
  readonly codec?: Codec
  /** Whether the transport checks of which origin a page is, or why not. */
  readonly origins: true | { readonly not: string }
  /** Milliseconds after which what has not come counts as missing. @default 10_000 */
  readonly timeout?: number
}

/** A promise of transports, tried on an API that records. */
export type TransportCase = readonly [
  name: string,
  run: (run: TransportRun) => Promise<void>,
  api?: RecordingApiOptions,
]

/** Frames as JSON, written as bytes: the simplest codec that is not text. */
export const bytesCodec: Codec = {
  name: 'bytes',
  encode: (frame) => new TextEncoder().encode(JSON.stringify(frame)),
  decode: (data) => jsonCodec.decode(data),
}

const TIMEOUT = 10_000

/** A served API, and the links to it. */
export class TransportRun {
  readonly api: RecordingApi
  readonly subject: TransportSubject
  readonly factory: TransportFactory
  readonly #links: RawLink[] = []

  constructor(factory: TransportFactory, api: RecordingApi, subject: TransportSubject) {
    this.factory = factory
    this.api = api
    this.subject = subject
  }

  static async open(factory: TransportFactory, options: RecordingApiOptions = {}): Promise<TransportRun> {
    const api = recordingApi({ timeout: factory.timeout ?? TIMEOUT, ...options })
    return new TransportRun(factory, api, await factory.serve(api))
  }

  /** Connects, and answers both ends. */
  async connect(options?: RawConnect): Promise<{ client: RawLink; server: RecordedLink }> {
    const index = this.api.links.length
    const client = await this.subject.connect(options)
    this.#links.push(client)
    return { client, server: await this.api.link(index) }
  }

  /** The frames of a link as texts, once there are so many. */
  async texts(link: RawLink | RecordedLink, count: number): Promise<readonly string[]> {
    await this.#until(
      () => link.received.length >= count,
      () => `${count} frames (there are ${link.received.length})`,
    )
    return link.received.map(textOf)
  }

  /** Waits until the client has seen the link end, and says how. */
  async endOf(client: RawLink): Promise<{ readonly code: number; readonly reason: string }> {
    let end: { readonly code: number; readonly reason: string } | undefined
    client.closed.then((closing) => (end = closing)).catch(() => undefined)
    await this.#until(
      () => end !== undefined,
      () => 'the end of the link at the client',
    )
    return { code: end?.code ?? 0, reason: end?.reason ?? '' }
  }

  async end(): Promise<void> {
    for (const link of this.#links) {
      // What a case has left paused must not keep the server from closing.
      link.resume()
      await link.abort()
    }
    await this.subject.close()
    await this.subject.dispose?.()
  }

  /** Transports tell nobody of most things that the suite looks at; so it looks again and again. */
  async #until(condition: () => boolean, what: () => string): Promise<void> {
    const until = performance.now() + (this.factory.timeout ?? TIMEOUT)
    while (!condition()) {
      check(performance.now() < until, `waited in vain for ${what()}`)
      await settle()
    }
  }

  /** What holds at the end of each case. */
  async checkHealth(): Promise<void> {
    await settle()
    checkEqual(this.api.reports.map(String), [], 'errors that were reported')
    for (const { closings } of this.api.links)
      check(closings.length <= 1, `'closed' was called ${closings.length} times`)
  }
}

export function textOf(data: string | Uint8Array): string {
  return typeof data === 'string' ? data : new TextDecoder().decode(data)
}
