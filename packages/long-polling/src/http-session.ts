import {
  type Clock,
  type CloseCode,
  type Codec,
  type EncodedFrame,
  type Limits,
  type SocketEvents,
  type TransportSocket,
  type WelcomeMessage,
  closeCodes,
  comesBack,
} from '@rtapi/core'
import { refuse } from './answers.ts'
import { type Credentials, type UserId, tokenOfHello } from './credentials.ts'
import { EventStream } from './event-stream.ts'
import { FrameLog } from './frame-log.ts'
import { HeldPoll } from './held-poll.ts'
import { PollPace } from './poll-pace.ts'
import { joined } from './joined.ts'

/** What sessions need around them; one object for all. */
export interface SessionSurroundings {
  readonly clock: Clock
  readonly limits: Limits
  readonly codec: Codec
  /** Milliseconds. */
  readonly hold: number
  readonly sessionTimeout: number
  /** The API has closed the session, or its client is gone: it takes no place any more. */
  closed(session: HttpSession): void
  /** Nobody can ask for the session any more. */
  gone(session: HttpSession): void
  /** The client has been told that the session is over. */
  told(session: HttpSession): void
}

/** Bytes in one answer, above which the rest waits for the next poll. */
const MOST_AT_ONCE = 1_048_576
/** Milliseconds for which a session that has ended waits for the next poll: a client that is there is back by then. */
const BETWEEN_POLLS = 5_000
/** Bytes that may still wait when the API is told that there is room. */
const LOW = 32_768

/** What is known of a client from its first request. */
export interface HttpClient {
  readonly address: string
  readonly credentials: Credentials
  /** By what a repetition of its first request is known. */
  readonly nonce: string | undefined
  /** For streams that a browser opens by itself: what they were opened with. Such a client cannot send frames. */
  readonly streamQuery: string | undefined
}

/**
 * One client of the transport, for as long as it keeps asking. Frames stay until the client has acknowledged them; one
 * request at a time waits for them, a poll or an event stream, and a new one takes the place of the old one.
 */
export class HttpSession implements TransportSocket, HttpClient {
  readonly id: string = randomId()
  readonly address: string
  readonly credentials: Credentials
  readonly nonce: string | undefined
  readonly streamQuery: string | undefined
  readonly #around: SessionSurroundings
  readonly #log = new FrameLog()
  readonly #pace = new PollPace()
  readonly #ping: string | Uint8Array
  #events: SocketEvents | undefined
  #user: { readonly id: UserId } | undefined
  #poll: HeldPoll | undefined
  #stream: EventStream | undefined
  #forwardsPings = false
  /** A ping was handed on, and nothing has come from the client since. */
  #isAsked = false
  /** Bytes that are in nobody's hands but ours. */
  #buffered = 0
  /** The number of the client's last frame. */
  #taken = 0
  #seenAt: number
  #wakes = false
  #end: { readonly code: number; readonly reason: string } | undefined
  #isGone = false

  constructor(client: HttpClient, around: SessionSurroundings) {
    this.address = client.address
    this.credentials = client.credentials
    this.nonce = client.nonce
    this.streamQuery = client.streamQuery
    this.#around = around
    this.#ping = around.codec.encode({ type: 'ping' })
    this.#seenAt = around.clock.monotonic()
  }

  /** Says where frames go; called once, before the first of them can arrive. */
  attach(events: SocketEvents): void {
    this.#events = events
  }

  /** Who the session is of; `undefined` until the API has said it. */
  get user(): { readonly id: UserId } | undefined {
    return this.#user
  }

  /** How the API has closed it. */
  get end(): { readonly code: number; readonly reason: string } | undefined {
    return this.#end
  }

  // ── From the API ──────────────────────────────────────────────────────────────────────────────────────────────────

  send(frame: EncodedFrame): void {
    if (this.#end !== undefined) return
    if (frame.data === this.#ping) {
      if (!this.#forwardsPings) return this.#answerPing()
      this.#isAsked = true
    }
    if (this.#user === undefined) this.#readWelcome(frame.data)
    this.#buffered += this.#log.append(frame)
    this.#wake()
  }

  get bufferedAmount(): number {
    return this.#end === undefined ? this.#buffered : 0
  }

  close(code: number, reason: string): void {
    if (this.#end !== undefined) return
    this.#end = { code, reason }
    this.#seenAt = this.#around.clock.monotonic()
    // Later: whoever closes is not called back while it does, and may not even have said where to.
    queueMicrotask(() => {
      this.#events?.closed(code, reason)
      this.#events = undefined
    })
    this.#around.closed(this)
    this.#wake()
  }

  /** Says why and when to come back, then closes. For the service itself, which ends while the API goes on. */
  goodbye(code: CloseCode, reason: string, after: number): void {
    this.send({ data: this.#around.codec.encode({ type: 'goodbye', code, reason, again: comesBack(code), after }) })
    this.close(code, reason)
  }

  // ── From the client ───────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Takes the client's frame with this number, once.
   * @throws HttpRefusal 409 if one before it has not come.
   */
  take(number: number, frame: string): void {
    if (number <= this.#taken) return
    if (number > this.#taken + 1)
      throw refuse('conflict', `This is frame ${number} of the session, but frame ${this.#taken + 1} has not come yet.`)
    this.#taken = number
    this.receive(frame)
  }

  /** Takes a frame without a number: the one that opens the session. */
  receive(frame: string): void {
    // The credentials that count are those the API gets to see.
    if (this.#user === undefined) this.credentials.sayHello(tokenOfHello(frame))
    this.#isAsked = false
    this.#events?.receive(frame)
  }

  /**
   * Waits until there is something behind the cursor, the hold time is over, or another request takes this one's place.
   * `false` in the last case.
   * @throws HttpRefusal 400 for a cursor that was never given; 429 for a client that asks in a tight loop.
   */
  wait(cursor: number, signal: AbortSignal): Promise<boolean> {
    this.acknowledge(cursor)
    const { clock, hold } = this.#around
    const now = clock.monotonic()
    const retryAfter = this.#pace.pauseAt(cursor, now)
    if (retryAfter > 0)
      throw refuse('rate_limited', 'The client polls again and again without getting any further.', { retryAfter })
    // A poll that comes late, after one that knew more, must not take its place.
    if (cursor < this.#log.start) return Promise.resolve(false)
    this.#seenAt = now
    this.#release()
    if (this.#log.last > cursor || this.#end !== undefined || signal.aborted) return Promise.resolve(true)
    this.#poll = new HeldPoll({ cursor, deadline: now + hold }, signal, () => {
      this.#poll = undefined
      this.#seenAt = clock.monotonic()
    })
    return this.#poll.answered
  }

  /** The client has everything up to here. A cursor that was never given is refused. */
  acknowledge(cursor: number): void {
    if (cursor > this.#log.last) throw refuse('bad_request', 'The cursor is none of this session.')
    // What a stream has taken is no longer counted, and it cannot skip what it has not.
    if (this.#stream !== undefined) this.#log.forget(Math.min(cursor, this.#stream.cursor))
    else this.#gone(this.#log.forget(cursor))
  }

  /**
   * The lines of an answer: a head, and each frame behind the cursor. With `frames: false`, and for a cursor that is
   * older than one which was acknowledged, there are none.
   */
  lines(cursor: number, { frames }: { readonly frames: boolean }): Uint8Array {
    const from = Math.max(cursor, this.#log.start)
    const found = frames && from === cursor ? this.#log.after(from, MOST_AT_ONCE) : []
    const to = from + found.length
    const isOver = this.#end !== undefined && frames && to === this.#log.last
    const head = { session: this.id, from, cursor: to, ...(isOver ? { closed: this.#end } : {}) }
    if (isOver) this.#around.told(this)
    const chunks: Uint8Array[] = [encoder.encode(`${JSON.stringify(head)}\n`)]
    for (const frame of found) chunks.push(frame, LINE_END)
    return joined(
      chunks,
      chunks.reduce((size, { byteLength }) => size + byteLength, 0),
    )
  }

  /** Whether a poll or a stream is waiting for frames. */
  get isWatched(): boolean {
    return this.#poll !== undefined || this.#stream !== undefined
  }

  /** Whether a stream can go on behind this cursor. */
  canResume(cursor: number): boolean {
    return cursor >= this.#log.start && cursor <= this.#log.last
  }

  /** Goes on as a stream of events. `answersPings`: its client can send frames, too. */
  stream(cursor: number, { answersPings }: { readonly answersPings: boolean }): ReadableStream<Uint8Array> {
    this.acknowledge(cursor)
    this.#release()
    this.#forwardsPings = answersPings
    const stream = new EventStream(this.id, cursor, {
      log: this.#log,
      clock: this.#around.clock,
      end: () => this.#end,
      sent: (size) => this.#handedOn(size),
      finished: () => this.#around.told(this),
      left: () => {
        if (this.#stream === stream) this.#leaveStream()
      },
    })
    this.#stream = stream
    return stream.body
  }

  /** Ends it for the client, who is gone or wants to go. */
  leave(code: number, reason: string): void {
    if (this.#isGone) return
    this.close(code, reason)
    this.#isGone = true
    this.#release()
    this.#log.clear()
    this.#around.gone(this)
  }

  /** Called again and again for all sessions by one timer. */
  sweep(now: number): void {
    if (this.#poll !== undefined && now >= this.#poll.deadline) this.#poll.answer(true)
    this.#stream?.keepAlive(now)
    if (this.isWatched && this.#end === undefined) return
    const { sessionTimeout } = this.#around
    // Whoever has not read the end in time will not read it.
    const patience =
      this.isWatched || this.#end === undefined ? sessionTimeout : Math.min(sessionTimeout, BETWEEN_POLLS)
    if (now - this.#seenAt >= patience) this.leave(closeCodes.heartbeat, 'no poll in time')
  }

  // ── Inside ────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Whoever waits is told at the end of the tick, so that what is sent within it goes out in one answer. */
  #wake(): void {
    if (this.#wakes) return
    this.#wakes = true
    this.#around.clock.defer(() => {
      this.#wakes = false
      const poll = this.#poll
      if (poll !== undefined && (this.#log.last > poll.cursor || this.#end !== undefined)) poll.answer(true)
      this.#stream?.pump()
    })
  }

  /** What was handed on may be lost on its way: the newest of it is kept, for a client that comes back. */
  #handedOn(size: number): void {
    this.#gone(size)
    while (this.#log.size - this.#buffered > this.#around.limits.sendSoft) this.#log.forget(this.#log.start + 1)
  }

  #gone(size: number): void {
    if (size === 0) return
    this.#buffered -= size
    if (this.#buffered <= LOW && this.#end === undefined) this.#events?.drained()
  }

  /** Makes place for another request. */
  #release(): void {
    this.#poll?.answer(false)
    if (this.#stream === undefined) return
    const stream = this.#stream
    this.#leaveStream()
    stream.close()
  }

  /** What the stream has taken may not have arrived, a ping neither. */
  #leaveStream(): void {
    this.#stream = undefined
    this.#buffered = this.#log.size
    this.#seenAt = this.#around.clock.monotonic()
    this.#forwardsPings = false
    if (this.#isAsked) this.#answerPing()
    this.#isAsked = false
  }

  /** Polls are signs of life, and their absence ends the session: there is no need to ask. */
  #answerPing(): void {
    queueMicrotask(() => this.#events?.receive(PONG))
  }

  /** Finds out who the client is from what the API tells it. */
  #readWelcome(data: string | Uint8Array): void {
    let first: unknown
    try {
      first = [this.#around.codec.decode(data)].flat()[0]
    } catch {
      return
    }
    if (typeof first !== 'object' || first === null || !('type' in first) || first.type !== 'welcome') return
    this.#user = { id: (first as WelcomeMessage).user }
  }
}

const encoder = new TextEncoder()
const LINE_END = encoder.encode('\n')
const PONG = '{"type":"pong"}'

/** 128 random bits. */
function randomId(): string {
  return crypto.getRandomValues(new Uint8Array(16)).reduce((id, byte) => id + byte.toString(16).padStart(2, '0'), '')
}
