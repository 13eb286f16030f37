import { type Api, type Codec, type MaybePromise, jsonCodec } from '@rtapi/core'
import { check, checkEqual } from './conformance.ts'
import { settle } from './event-loop.ts'
import { type RecordedLink, type RecordingApi, type RecordingApiOptions, recordingApi } from './recording-api.ts'
import { waitFor } from './wait-for.ts'

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
  /** Whether the transport checks of which origin a page is, or why not. */
  readonly origins: true | { readonly not: string }
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
    const api = recordingApi(options)
    return new TransportRun(factory, api, await factory.serve(api))
  }

  /** Connects, and answers both ends. */
  async connect(options?: RawConnect): Promise<{ client: RawLink; server: RecordedLink }> {
    const index = this.api.links.length
    const client = await this.subject.connect(options)
    this.#links.push(client)
    return { client, server: await this.api.link(index) }
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

  /** What holds at the end of each case. */
  async checkHealth(): Promise<void> {
    await settle()
    checkEqual(this.api.reports.map(String), [], 'errors that were reported')
    for (const { closings } of this.api.links)
      check(closings.length <= 1, `'closed' was called ${closings.length} times`)
  }
}

/** Waits until something is so; transports tell nobody of most things that the suite looks at. */
export function until(what: string, condition: () => boolean, story: () => string = () => ''): Promise<true> {
  return waitFor({
    what,
    timeout: 10_000,
    take: () => (condition() ? true : undefined),
    settle: () => settle(),
    onArrival: () => () => {},
    story,
  })
}

/** The frames of a link as texts, once there are so many. */
export async function texts(link: RawLink | RecordedLink, count: number): Promise<readonly string[]> {
  await until(
    `${count} frames`,
    () => link.received.length >= count,
    () => `(there are ${link.received.length})`,
  )
  return link.received.map(textOf)
}

export function textOf(data: string | Uint8Array): string {
  return typeof data === 'string' ? data : new TextDecoder().decode(data)
}

/** Waits until the client has seen the link end, as it must have. */
export async function checkEnd(client: RawLink, code: number, reason: string): Promise<void> {
  const end = await client.closed
  checkEqual({ code: end.code, reason: end.reason }, { code, reason }, 'how the client saw the link end')
}
