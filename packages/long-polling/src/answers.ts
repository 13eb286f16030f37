import { type ErrorCode, RtapiError, errorCodes } from '@rtapi/core'
import { retryLine } from './event-stream.ts'

/** Milliseconds, and as many again at random, after which one may come back who was not told when. */
const LATER = 3_000

/** An answer that refuses a whole request: an HTTP status beside the error of the protocol. */
export class HttpRefusal extends Error {
  readonly status: number
  readonly error: RtapiError
  readonly headers: Readonly<Record<string, string>>

  constructor(status: number, error: RtapiError, headers: Readonly<Record<string, string>> = {}) {
    super(error.message)
    this.name = 'HttpRefusal'
    this.status = status
    this.error = error
    this.headers = headers
  }
}

/** Refuses with the status that belongs to the code, or another; `retryAfter` is in milliseconds. */
export function refuse(
  code: ErrorCode,
  message: string,
  { status = errorCodes[code].status, retryAfter }: { readonly status?: number; readonly retryAfter?: number } = {},
): HttpRefusal {
  return new HttpRefusal(status, new RtapiError(code, message, { retryAfter }))
}

/** Refuses for now; those who were refused together do not come back together. */
export function refuseForNow(message: string): HttpRefusal {
  return refuse('unavailable', message, { retryAfter: 1_000 * (1 + Math.floor(Math.random() * 5)) })
}

/** Nobody but its own user may know whether a session exists. */
export function unknownSession(): HttpRefusal {
  return refuse('not_found', 'There is no such session.')
}

/** Of every answer: nothing may keep it, and nothing may take it for something else. */
const everywhere = {
  'cache-control': 'no-store',
  vary: 'Origin, Authorization, Cookie',
  'x-content-type-options': 'nosniff',
} as const

/** A JSON answer. */
export function jsonAnswer(status: number, value: unknown, headers: Readonly<Record<string, string>> = {}): Response {
  return new Response(`${JSON.stringify(value)}\n`, {
    status,
    headers: { ...everywhere, 'content-type': 'application/json; charset=utf-8', ...headers },
  })
}

/** An answer of which each line is one JSON text. */
export function linesAnswer(lines: Uint8Array): Response {
  return new Response(lines as Uint8Array<ArrayBuffer>, {
    headers: { ...everywhere, 'content-type': 'application/x-ndjson; charset=utf-8' },
  })
}

/** An answer of server-sent events. */
export function eventsAnswer(events: ReadableStream<Uint8Array> | string): Response {
  return new Response(events, {
    headers: {
      ...everywhere,
      'content-type': 'text/event-stream; charset=utf-8',
      // A proxy that collects an answer before it passes it on would keep the events for itself.
      'x-accel-buffering': 'no',
    },
  })
}

/**
 * The answer to an EventSource that is refused for now: it comes back to a stream that ends, but never to an error.
 * `undefined` if it should not come back.
 */
export function laterAnswer({ error }: HttpRefusal): Response | undefined {
  if (!errorCodes[error.code].retryable) return undefined
  return eventsAnswer(`: ${error.message}\n${retryLine(error.retryAfter ?? LATER + Math.floor(Math.random() * LATER))}`)
}

/** The answer to a request that was refused: a `reply` without id, and the headers that belong to its code. */
export function refusalAnswer({ status, error, headers }: HttpRefusal): Response {
  return jsonAnswer(status, { type: 'reply', ok: false, error: error.toWire() }, { ...errorHeaders(error), ...headers })
}

/** What HTTP has a header for. */
export function errorHeaders({
  code,
  retryAfter,
}: {
  readonly code: ErrorCode
  readonly retryAfter?: number | undefined
}): Readonly<Record<string, string>> {
  return {
    ...(code === 'unauthenticated' ? { 'www-authenticate': 'Bearer' } : {}),
    ...(code === 'unsupported' ? { allow: 'POST' } : {}),
    ...(retryAfter === undefined ? {} : { 'retry-after': String(Math.max(1, Math.ceil(retryAfter / 1_000))) }),
  }
}
