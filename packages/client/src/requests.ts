import { type ReplyMessage, type ReplySuccess, type RequestMessage, RtapiError } from '@rtapi/core/protocol'
import type { ClientClock } from './client-clock.ts'
import { OutcomeUnknownError, errorFromWire } from './errors.ts'
import { asSent } from './frames.ts'

/** What is asked for; the id is given when it is called. */
export type Call = Omit<RequestMessage, 'type' | 'id'>

/** How far the link is: requests that only read go out right behind `hello`, writes once the session is known. */
export type LinkPhase = 'none' | 'greeted' | 'welcome'

/** What the requests need from the connection. */
export interface RequestsPort {
  readonly clock: ClientClock
  phase(): LinkPhase
  newId(): string
  send(messages: readonly RequestMessage[]): void
  /** Bytes of one frame that the server takes. */
  frameLimit(): number
  /** Bytes of a message on the link in use. */
  bytes(message: RequestMessage): number
  /** A request that was sent is answered or given up. */
  settled(): void
}

export interface RequestLimits {
  /** Milliseconds until a request is given up, counted from the call. */
  readonly requestTimeout: number
  /** Requests that wait for the connection, or for others before them. */
  readonly requestsQueued: number
  /** Requests that are sent and not answered. */
  readonly requestsInFlight: number
}

interface OpenRequest {
  readonly message: RequestMessage
  readonly write: boolean
  readonly resolve: (reply: ReplySuccess) => void
  readonly reject: (error: Error) => void
  readonly cancelTimeout: () => void
}

const reads: ReadonlySet<string> = new Set(['list', 'get', 'describe'])

/** Requests that were sent over one link and are not answered. */
export interface InFlight {
  readonly writes: number
  readonly all: number
}

/**
 * The requests of a client. What is not sent waits for the connection. When a link is lost, a read that was on its way is
 * sent again on the next one; a write is not: its outcome is unknown. While the client moves to another link, what was
 * sent is answered on the link before, and writes wait, so that they run in order and show in the views.
 */
export class Requests {
  readonly #port: RequestsPort
  readonly #limits: RequestLimits
  #waiting = new Map<string, OpenRequest>()
  /** Sent over the link in use. */
  #sent = new Map<string, OpenRequest>()
  /** Sent over the link before it, which stands until they are answered. */
  #sentBefore = new Map<string, OpenRequest>()
  #holdsWrites = false

  constructor(port: RequestsPort, limits: RequestLimits) {
    this.#port = port
    this.#limits = limits
  }

  /**
   * Sends a request as soon as it can be sent.
   * @param timeout - milliseconds. @default limits.requestTimeout
   * @throws TypeError, as a rejection, if the data cannot be written as JSON
   */
  call(call: Call, timeout: number = this.#limits.requestTimeout): Promise<ReplySuccess> {
    const { resource, action } = call
    if (this.#waiting.size >= this.#limits.requestsQueued) {
      return Promise.reject(
        new RtapiError('limit_exceeded', `${resource}.${action}: too many requests wait to be sent`),
      )
    }
    return new Promise((resolve, reject) => {
      const message = asSent<RequestMessage>({ type: 'request', id: this.#port.newId(), ...call })
      const cancelTimeout = this.#port.clock.setTimer(timeout, () => this.#timeOut(message.id, timeout))
      this.#waiting.set(message.id, { message, write: !reads.has(action), resolve, reject, cancelTimeout })
      this.pump()
    })
  }

  /** Takes what can be sent now out of the queue; the caller sends it. */
  take(phase: LinkPhase): readonly RequestMessage[] {
    const messages: RequestMessage[] = []
    for (const [id, request] of this.#waiting) {
      if (phase === 'none' || this.#sent.size >= this.#limits.requestsInFlight) break
      if (request.write && (phase !== 'welcome' || this.#holdsWrites)) continue
      this.#waiting.delete(id)
      const limit = this.#port.frameLimit()
      const bytes = this.#port.bytes(request.message)
      if (bytes > limit) {
        const text = `the request has ${bytes} bytes; the server takes ${limit}`
        this.#fail(request, new RtapiError('limit_exceeded', text))
        continue
      }
      this.#sent.set(id, request)
      messages.push(request.message)
    }
    return messages
  }

  /** Sends what can be sent now. */
  pump(): void {
    const messages = this.take(this.#port.phase())
    if (messages.length > 0) this.#port.send(messages)
  }

  /** Settles the request that a reply is for; answers whether there is one. */
  reply(reply: ReplyMessage): boolean {
    const { id = '' } = reply
    const request = this.#sent.get(id) ?? this.#sentBefore.get(id)
    if (request === undefined) return false
    this.#sent.delete(id)
    this.#sentBefore.delete(id)
    if (reply.ok) {
      request.cancelTimeout()
      request.resolve(reply)
    } else this.#fail(request, errorFromWire(reply.error))
    this.pump()
    this.#port.settled()
    return true
  }

  // ── The move to another link ──────────────────────────────────────────────────────────────────────────────────────

  /** What the link in use has not answered. */
  get inFlight(): InFlight {
    return countOf(this.#sent)
  }

  /** What the link before it has not answered. */
  get inFlightBefore(): InFlight {
    return countOf(this.#sentBefore)
  }

  /** Sends no writes until `release`. */
  hold(): void {
    this.#holdsWrites = true
  }

  release(): void {
    this.#holdsWrites = false
    this.pump()
  }

  /** Another link is the one in use; the one before stays for what it has to answer. */
  moved(): void {
    for (const [id, request] of this.#sent) this.#sentBefore.set(id, request)
    this.#sent = new Map()
  }

  /** The link in use is gone, and that before it is in use again. */
  movedBack(): void {
    this.lost()
    this.#sent = this.#sentBefore
    this.#sentBefore = new Map()
  }

  /** The link before is gone. */
  lostBefore(): void {
    const sent = this.#sentBefore
    this.#sentBefore = new Map()
    this.#lose(sent)
    this.pump()
  }

  // ── The end ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** The link in use is gone. */
  lost(): void {
    const sent = this.#sent
    this.#sent = new Map()
    this.#lose(sent)
  }

  #lose(sent: ReadonlyMap<string, OpenRequest>): void {
    this.#waiting = new Map([...[...sent].filter(([, { write }]) => !write), ...this.#waiting])
    for (const request of sent.values()) if (request.write) this.#fail(request, outcomeUnknown(request))
  }

  /** Somebody else is signed in: the writes which wait were not meant for them. */
  dropWrites(error: Error): void {
    for (const [id, request] of this.#waiting) {
      if (!request.write) continue
      this.#waiting.delete(id)
      this.#fail(request, error)
    }
  }

  /** The connection is over. */
  close(error: Error): void {
    this.#holdsWrites = false
    this.lost()
    this.#lose(this.#sentBefore)
    this.#sentBefore = new Map()
    const waiting = this.#waiting
    this.#waiting = new Map()
    for (const request of waiting.values()) this.#fail(request, error)
  }

  #timeOut(id: string, timeout: number): void {
    const waiting = this.#waiting.get(id)
    const sent = this.#sent.get(id) ?? this.#sentBefore.get(id)
    this.#waiting.delete(id)
    this.#sent.delete(id)
    this.#sentBefore.delete(id)
    if (waiting !== undefined)
      this.#fail(waiting, new RtapiError('timeout', `not sent within ${timeout} ms: there was no connection`))
    if (sent !== undefined)
      this.#fail(sent, sent.write ? outcomeUnknown(sent) : new RtapiError('timeout', `no reply within ${timeout} ms`))
    this.pump()
    if (sent !== undefined) this.#port.settled()
  }

  #fail(request: OpenRequest, error: Error): void {
    request.cancelTimeout()
    request.reject(error)
  }
}

function countOf(sent: ReadonlyMap<string, OpenRequest>): InFlight {
  return { writes: [...sent.values()].filter(({ write }) => write).length, all: sent.size }
}

function outcomeUnknown({ message }: OpenRequest): Error {
  return new OutcomeUnknownError(message.resource, message.action)
}
