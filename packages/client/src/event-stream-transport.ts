import { jsonCodec } from './client-codec.ts'
import type { ClientTransport } from './client-transport.ts'
import { EventStreamParser } from './event-stream-parser.ts'
import type { HttpTransportOptions } from './http-exchange.ts'
import { HttpLink } from './http-link.ts'

/** Times in a row that a stream may end without having brought anything. */
const EMPTY = 5
/** Milliseconds before a stream is opened again which has brought nothing, unless the server says another time. */
const PAUSE = 1_000

/**
 * Links over server-sent events, to a server with `@rtapi/long-polling`: frames come down in one answer that does not end,
 * and go up by one request each. Read by `fetch`, so that it works in Node and with credentials in headers. Frames are
 * JSON, whatever the codec of the client.
 */
export function eventStreamTransport(options: HttpTransportOptions = {}): ClientTransport {
  return {
    name: 'event-stream',
    codec: jsonCodec,
    connect: (request) => new HttpLink(request, options, stream),
  }
}

/** Reads streams one after the other, each from where the one before was cut. */
async function stream(link: HttpLink): Promise<void> {
  let pause = PAUSE
  let empty = 0
  while (link.isOpen) {
    const parser = new EventStreamParser(({ type, data, id }) => {
      if (type === 'close') close(link, data)
      else if (type === 'message') link.take(numberIn(id, link.session), data)
    })
    const response = await link.ask(
      {
        method: 'GET',
        path: '/stream',
        search: { session: link.session, cursor: String(link.cursor) },
        headers: { accept: 'text/event-stream' },
        signal: link.signal,
      },
      (answer) => read(link, answer, parser),
    )
    if (response === undefined) return
    pause = parser.retry ?? pause
    empty = response.heard ? 0 : empty + 1
    if (empty > EMPTY) return link.end(1006, 'the stream is cut again and again')
    if (empty > 0) await link.wait(pause)
  }
}

/** Reads a stream to its end, whichever that is; answers whether it has brought anything beyond its opening. */
async function read(
  link: HttpLink,
  response: Response,
  parser: EventStreamParser,
): Promise<{ readonly heard: boolean }> {
  if (response.headers.get('content-type')?.startsWith('text/event-stream') !== true)
    throw new Error('the answer is no stream of events')
  const { cursor } = link
  const reader = response.body?.getReader()
  const decoder = new TextDecoder()
  let pieces = 0
  try {
    for (;;) {
      const piece = await reader?.read()
      if (piece === undefined || piece.done) break
      pieces++
      parser.push(decoder.decode(piece.value, { stream: true }))
    }
  } catch {
    // Cut: it is opened again.
  }
  return { heard: pieces > 1 || link.cursor > cursor }
}

function close(link: HttpLink, data: string): void {
  const { code, reason } = JSON.parse(data) as { readonly code: number; readonly reason: string }
  link.end(code, reason)
}

/** The number of a frame, in the id of its event. An id of another session is none that could come next. */
function numberIn(id: string, session: string): number {
  return id.startsWith(`${session}.`) ? Number(id.slice(session.length + 1)) : Number.POSITIVE_INFINITY
}
