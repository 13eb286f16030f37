import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { isHost } from '@rtapi/core'
import type { RequestContext } from './http-handler.ts'

/** A listener for `http.createServer`, or for a framework on top of it. */
export type NodeListener = (request: IncomingMessage, response: ServerResponse) => void

/** What frameworks add to Node's request. */
interface Extended {
  /** The URL as it was before a router took its prefix away. */
  readonly originalUrl?: unknown
  /** A body that was read before, and perhaps parsed. */
  readonly body?: unknown
  readonly rawBody?: unknown
}

/** Serves a Fetch-API handler on `node:http`. */
export function toNodeListener(
  handler: (request: Request, context: RequestContext) => Promise<Response>,
): NodeListener {
  return (incoming, outgoing) => {
    const gone = new AbortController()
    outgoing.on('close', () => {
      if (!outgoing.writableFinished) gone.abort()
    })
    const request = toRequest(incoming, gone.signal)
    const answer =
      request === undefined
        ? Promise.resolve(new Response('The request cannot be read.\n', { status: 400 }))
        : handler(request, { remoteAddress: incoming.socket.remoteAddress })
    // A handler that fails, or a client that goes: there is nobody left to answer to.
    answer.then((response) => send(response, incoming, outgoing)).catch(() => outgoing.destroy())
  }
}

/** The request in the form of the Fetch API; `undefined` if its host or path is none. */
function toRequest(incoming: IncomingMessage & Extended, signal: AbortSignal): Request | undefined {
  const host = incoming.headers.host ?? incoming.headers[':authority']
  const path = typeof incoming.originalUrl === 'string' ? incoming.originalUrl : incoming.url
  if (typeof host !== 'string' || !isHost(host) || path?.startsWith('/') !== true) return undefined
  const scheme = 'encrypted' in incoming.socket && incoming.socket.encrypted === true ? 'https' : 'http'
  const url = `${scheme}://${host}${path}`
  if (!URL.canParse(url)) return undefined
  const headers = new Headers()
  for (const [name, value] of Object.entries(incoming.headers)) {
    if (value !== undefined && !name.startsWith(':')) headers.set(name, Array.isArray(value) ? value.join(', ') : value)
  }
  const method = incoming.method ?? 'GET'
  const body = method === 'GET' || method === 'HEAD' ? null : bodyOf(incoming, headers)
  try {
    return new Request(url, { method, headers, signal, body, ...(body === null ? {} : { duplex: 'half' }) })
  } catch {
    return undefined
  }
}

type Body = ReadableStream<Uint8Array> | Uint8Array<ArrayBuffer> | string | null

/** The body as it comes; where somebody has read it before, what they made of it. */
function bodyOf(incoming: IncomingMessage & Extended, headers: Headers): Body {
  const { rawBody, body } = incoming
  if (!incoming.readableDidRead && body === undefined) return streamOf(incoming)
  for (const known of [rawBody, body]) {
    if (typeof known === 'string' || known instanceof Uint8Array) return known as string | Uint8Array<ArrayBuffer>
  }
  // What is written again need not have the length, or the compression, of what came.
  headers.delete('content-length')
  return body === undefined ? null : JSON.stringify(body)
}

/** The body, read when it is asked for and no faster. Nothing is read of one that nobody asks for. */
function streamOf(incoming: IncomingMessage): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        incoming.once('error', (error) => controller.error(error))
        incoming.once('close', () => {
          if (!incoming.readableEnded) controller.error(new Error('the request was torn'))
        })
      },
      async pull(controller) {
        for (;;) {
          const chunk: unknown = incoming.read()
          if (chunk instanceof Uint8Array) return controller.enqueue(chunk)
          if (incoming.readableEnded || incoming.complete) return controller.close()
          await once(incoming, 'readable')
        }
      },
      cancel: () => void incoming.resume(),
    },
    { highWaterMark: 0 },
  )
}

async function send(response: Response, incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  // What is left of a request that was not read to its end would stand before the next one.
  if (!incoming.complete && incoming.httpVersionMajor === 1) outgoing.setHeader('connection', 'close')
  outgoing.statusCode = response.status
  for (const [name, value] of response.headers) outgoing.setHeader(name, value)
  if (response.body === null) {
    outgoing.end()
    return
  }
  const reader = (response.body as ReadableStream<Uint8Array>).getReader()
  const stop = (): void => void reader.cancel().catch(() => undefined)
  if (outgoing.destroyed) return stop()
  outgoing.once('close', stop)
  for (;;) {
    const { done, value } = await reader.read()
    if (done || outgoing.destroyed) break
    if (!outgoing.write(value)) await room(outgoing)
  }
  outgoing.end()
}

/** Settles when the network has taken what was written, or will never take it. */
function room(outgoing: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      outgoing.off('drain', done).off('close', done)
      resolve()
    }
    outgoing.on('drain', done).on('close', done)
  })
}
