import { type Api, type Codec, type Handshake, type ServerMessage, type TransportSocket, closeCodes } from '@rtapi/core'
import { type HttpRefusal, refuse, refuseForNow } from './answers.ts'
import type { UserId } from './credentials.ts'

/** The end of a client that exists for one question. */
interface Closing {
  readonly type: 'closing'
  readonly code: number
  readonly reason: string
}

/** What a question needs. */
export interface Question<T> {
  readonly handshake: Handshake
  /** One frame of the client, as text. */
  readonly frame: string
  /** Whoever asks may give up: then nothing is answered, and the API is told. */
  readonly signal?: AbortSignal
  /** Finds the answer among what comes; `closing` comes last. */
  readonly take: (message: ServerMessage | Closing) => T | undefined
}

/** Asks the API something, as a client that comes, sends one frame, and goes when it has its answer. */
export function ask<T>(api: Api, codec: Codec, { handshake, frame, signal, take }: Question<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    let isOver = false
    const over = (code: number, reason: string): void => {
      isOver = true
      signal?.removeEventListener('abort', leave)
      // Later: the API may be in the middle of `accept` or `send`.
      queueMicrotask(() => events.closed(code, reason))
    }
    const hear = (message: ServerMessage | Closing): void => {
      if (isOver) return
      const answer = take(message)
      if (answer === undefined) return
      over(1000, '')
      resolve(answer)
    }
    const leave = (): void => {
      over(1001, 'client gone')
      reject(refuseForNow('The client is gone.'))
    }
    const socket: TransportSocket = {
      id: crypto.randomUUID(),
      bufferedAmount: 0,
      send({ data }) {
        if (isOver) return
        const decoded = codec.decode(data) as ServerMessage | readonly ServerMessage[]
        for (const message of [decoded].flat() as readonly ServerMessage[]) hear(message)
      },
      close(code, reason) {
        if (isOver) return
        const answer = take({ type: 'closing', code, reason })
        over(code, reason)
        if (answer === undefined) reject(refusalOfClose(code))
        else resolve(answer)
      },
    }
    const events = api.accept(socket, handshake, codec)
    if (isOver) return
    if (signal?.aborted === true) return leave()
    signal?.addEventListener('abort', leave)
    events.receive(frame)
  })
}

/** As a request is answered whose client the API has closed. */
export function refusalOfClose(code: number): HttpRefusal {
  switch (code) {
    case closeCodes.unauthenticated:
    case closeCodes.revoked:
    case closeCodes.sessionChanged:
      return refuse('unauthenticated', 'The credentials are not valid.')
    case closeCodes.forbidden:
      return refuse('forbidden', 'This client may not connect.')
    case closeCodes.tooBig:
      return refuse('limit_exceeded', 'The request is too big.')
    case closeCodes.badFrame:
    case closeCodes.version:
      return refuse('bad_request', 'The request cannot be read.')
    case closeCodes.abuse:
      return refuse('rate_limited', 'Too many requests.')
    case closeCodes.internal:
      return refuse('internal', 'The server failed.')
    default:
      return refuseForNow('The server cannot do this now.')
  }
}

/**
 * Asks the API of whom these credentials are.
 * @throws HttpRefusal if it refuses them, or cannot tell.
 */
export function whoIs(api: Api, codec: Codec, handshake: Handshake, signal: AbortSignal): Promise<{ id: UserId }> {
  return ask(api, codec, {
    handshake,
    frame: '{"type":"hello","versions":[1]}',
    signal,
    take: (message) => (message.type === 'welcome' ? { id: message.user } : undefined),
  })
}
