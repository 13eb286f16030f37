import { type ServerSentEvent, readEvents } from './event-reader.ts'

/** A stream of events, read one by one. */
export interface ReadStream {
  readonly status: number
  /** The next event; `undefined` when the stream has ended. */
  next(): Promise<ServerSentEvent | undefined>
  /** Goes, as a client that closes its connection. */
  leave(): Promise<void>
}

/** Reads the events of an answer. */
export function readStream(response: Response): ReadStream {
  if (response.body === null) throw new TypeError('the answer has no body')
  const events = readEvents(response.body)
  return {
    status: response.status,
    async next() {
      const { value, done } = await events.next()
      return done === true ? undefined : value
    },
    async leave() {
      await events.return()
    },
  }
}

/** The text of an answer so far, as raw lines: comments, too. */
export async function rawText(response: Response, until: string): Promise<string> {
  const reader = (response.body ?? new ReadableStream<Uint8Array>()).getReader()
  const utf8 = new TextDecoder()
  let text = ''
  while (!text.includes(until)) {
    const { done, value } = await reader.read()
    if (done) break
    text += utf8.decode(value, { stream: true })
  }
  reader.releaseLock()
  return text
}
