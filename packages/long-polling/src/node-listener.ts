import type { IncomingMessage, ServerResponse } from 'node:http'
import { isHost } from '@rtapi/core'
import type { RequestContext } from './http-handler.ts'

/** A listener for `http.createServer`, or for a framework on top of it. */
export type NodeListener = (request: IncomingMessage, response: ServerResponse) => void

export interface NodeListenerOptions {
  /** Milliseconds after which a connection ends whose client reads nothing of its answer. @default 60_000 */
  readonly stallTimeout?: number
}

/** What frameworks add to Node's request. */
interface Extended {
  /** The URL as it was before a router took its prefix away. */
  readonly originalUrl?: unknown
  /** A body that was read before, and perhaps parsed. */
  readonly body?: unknown
}

/** Node does not abort the signal of a request that has been collected, whoever listens to it: so it is kept. */
const requestOf = new WeakMap<ServerResponse, unknown>()

/** Serves a Fetch-API handler on `node:http`. */
export function toNodeListener(
  handler: (request: Request, context: RequestContext) => Promise<Response>,
  { stallTimeout = 60_000 }: NodeListenerOptions = {},
): NodeListener {
  return (incoming, outgoing) => {
    const gone = new AbortController()
    outgoing.on('close', () => {
      if (!outgoing.writableFinished) gone.abort()
    })
    const request = toRequest(incoming, gone.signal)
    requestOf.set(outgoing, request)
    const answer =
      request instanceof Request
        ? handler(request, { remoteAddress: incoming.socket.remoteAddress })
        : Promise.resolve(new Response(`${request.problem}\n`, { status: request.status }))
    answer
      .then((response) => {
        // Held polls are silent for a while; from now on there is something to read, streams say something now and then.
        outgoing.setTimeout(stallTimeout, () => outgoing.destroy())
        return send(response, incoming, outgoing)
      })
      // A handler that fails, or a client that goes: there is nobody left to answer to.
      .catch(() => outgoing.destroy())
  }
}

interface Unreadable {
  readonly status: number
  readonly problem: string
}

/** The request in the form of the Fetch API. */
function toRequest(incoming: IncomingMessage & Extended, signal: AbortSignal): Request | Unreadable {
  const unreadable = { status: 400, problem: 'The request cannot be read.' }
  const host = incoming.headers.host ?? incoming.headers[':authority']
  const path = typeof incoming.originalUrl === 'string' ? incoming.originalUrl : incoming.url
  if (typeof host !== 'string' || !isHost(host) || path?.startsWith('/') !== true) return unreadable
  const scheme = 'encrypted' in incoming.socket && incoming.socket.encrypted === true ? 'https' : 'http'
  const headers = new Headers()
  try {
    for (const [name, value] of Object.entries(incoming.headers)) {
      if (value !== undefined && !name.startsWith(':'))
        headers.set(name, Array.isArray(value) ? value.join(', ') : value)
    }
    const method = incoming.method ?? 'GET'
    const body = method === 'GET' || method === 'HEAD' ? null : bodyOf(incoming, headers)
    if (body === undefined)
      return {
        status: 415,
        problem: 'The body was read before it came here, and not as JSON: say what it is in Content-Type.',
      }
    const init = { method, headers, signal, body, ...(body === null ? {} : { duplex: 'half' as const }) }
    return new Request(`${scheme}://${host}${path}`, init)
  } catch {
    // Of these, too: what somebody has parsed and what is nested so deeply that it cannot be written again.
    return unreadable
  }
}

type Body = ReadableStream<Uint8Array> | Uint8Array<ArrayBuffer> | string | null

/** The body as it comes; where somebody has read it before, what they made of it. `undefined`: not what was sent. */
function bodyOf(incoming: IncomingMessage & Extended, headers: Headers): Body | undefined {
  const { body } = incoming
  if (isEmpty(incoming)) return null
  if (!incoming.readableDidRead && body === undefined) return streamOf(incoming)
  // It need not have the length of what came.
  headers.delete('content-length')
  if (typeof body === 'string' || body instanceof Uint8Array) return body as string | Uint8Array<ArrayBuffer>
  return body !== undefined && /^application\/([\w.-]+\+)?json\b/i.test(incoming.headers['content-type'] ?? '')
    ? JSON.stringify(body)
    : undefined
}

/** Whether nothing was sent, as far as the head says. Some parsers make an object of nothing. */
function isEmpty({ headers, httpVersionMajor }: IncomingMessage): boolean {
  const length = headers['content-length']
  if (length !== undefined) return Number(length) === 0
  // HTTP/2 needs neither of the two.
  return httpVersionMajor === 1 && headers['transfer-encoding'] === undefined
}

/** The body, read when it is asked for and no faster. Nothing is read of one that nobody asks for. */
function streamOf(incoming: IncomingMessage): ReadableStream<Uint8Array> {
  let finish = (): void => undefined
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        const take = (chunk: Uint8Array): void => {
          incoming.pause()
          controller.enqueue(chunk)
        }
        const end = (): void => {
          finish()
          controller.close()
        }
        const tear = (): void => {
          finish()
          controller.error(new Error('the request was torn'))
        }
        finish = () => void incoming.off('data', take).off('end', end).off('close', tear)
        // An error is followed by the end of the connection, but must be listened to.
        incoming.on('error', () => undefined)
        incoming.pause().on('data', take).on('end', end).on('close', tear)
      },
      pull: () => void incoming.resume(),
      cancel() {
        finish()
        incoming.resume()
      },
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
  // A body that fails is told at once, also while the network takes nothing.
  reader.closed.catch(() => outgoing.destroy())
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
