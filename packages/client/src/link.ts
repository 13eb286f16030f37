import {
  type ClientMessage,
  type GoodbyeMessage,
  type HelloMessage,
  PROTOCOL_VERSION,
  RtapiError,
  type ServerMessage,
  type WelcomeMessage,
  closeCodes,
  comesBack,
  subprotocol,
} from '@rtapi/core/protocol'
import type { ClientClock } from './client-clock.ts'
import type { ClientCodec } from './client-codec.ts'
import type { ClientTransport, TransportLink } from './client-transport.ts'
import { errorFromClose } from './errors.ts'
import { decodeFrame, encodeFrames } from './frames.ts'
import { Heartbeat } from './heartbeat.ts'

/** Messages that are not about the link itself. */
export type ContentMessage = Exclude<ServerMessage, { readonly type: 'welcome' | 'goodbye' | 'ping' | 'pong' }>

/** How a link ended. */
export interface LinkEnd {
  readonly code: number
  readonly error: Error
  /** The server wants the client back, or cannot have an opinion. */
  readonly again: boolean
  /** Milliseconds the server asks to wait. */
  readonly after: number | undefined
  /** The transport got through: the server has welcomed the client, or said why not. */
  readonly reached: boolean
}

/** Hears of one link. */
export interface LinkEvents {
  /** The link is open: answers what to send right behind `hello`. */
  opened(): readonly ClientMessage[]
  welcomed(message: WelcomeMessage): void
  received(message: ContentMessage): void
  /** All messages of a frame were handled. */
  settled(): void
  /** The link is over, by whatever cause but its own `close`. Called once. */
  ended(end: LinkEnd): void
  /** Something was sent or received, for whoever inspects. */
  frame(direction: 'in' | 'out', messages: readonly (ClientMessage | ServerMessage)[]): void
}

export interface LinkOptions {
  readonly url: string
  readonly codec: ClientCodec
  /** Asked when the link is open. */
  hello(): Omit<HelloMessage, 'type' | 'versions'>
  readonly clock: ClientClock
  /** Milliseconds until `welcome`. */
  readonly timeout: number
  /** Bytes of a frame that the server takes. */
  frameLimit(): number
}

/** One attempt at a link to the server, from opening it to its end. */
export class Link {
  /** `hello` was sent; whatever follows is read after it. */
  greeted = false
  welcome: WelcomeMessage | undefined
  /** The token that the server has taken last. */
  token: string | null = null
  readonly transport: ClientTransport
  readonly codec: ClientCodec
  readonly #options: LinkOptions
  readonly #events: LinkEvents
  readonly #heartbeat: Heartbeat
  #wire: TransportLink | undefined
  #over = false
  #cancelTimeout: () => void

  /** @throws whatever the transport throws where it can never open a link. */
  constructor(transport: ClientTransport, options: LinkOptions, events: LinkEvents) {
    this.transport = transport
    this.codec = transport.codec ?? options.codec
    this.#options = options
    this.#events = events
    this.#heartbeat = new Heartbeat(options.clock, {
      ping: () => this.send([{ type: 'ping' }]),
      dead: () => this.#lose('the server fell silent'),
    })
    this.#wire = transport.connect({
      url: options.url,
      codec: this.codec.name,
      protocols: [subprotocol(this.codec.name)],
      clock: options.clock,
      token: () => this.token,
      onOpen: () => this.#open(),
      onFrame: (data) => this.#frame(data),
      onClose: (code, reason, after) => {
        this.#end({ code, reason, ...(after === undefined ? {} : { after }) })
        this.#events.settled()
      },
    })
    this.#cancelTimeout = options.clock.setTimer(options.timeout, () => {
      this.#lose('no welcome in time')
    })
  }

  /** Sends messages; nothing, if the link is not open or over. */
  send(messages: readonly ClientMessage[]): void {
    if (!this.greeted || this.#over || messages.length === 0) return
    this.#events.frame('out', messages)
    for (const frame of encodeFrames(this.codec, messages, this.#options.frameLimit())) this.#wire?.send(frame)
  }

  /** Asks the server for a sign of life now. */
  probe(): void {
    this.#heartbeat.probe()
  }

  /** Ends the link from this side; no event follows. */
  close(code: number, reason: string): void {
    if (this.#over) return
    this.#over = true
    this.#heartbeat.stop()
    this.#cancelTimeout()
    this.#wire?.close(code, reason)
  }

  #open(): void {
    if (this.#over) return
    this.greeted = true
    const hello = this.#options.hello()
    this.token = hello.token ?? null
    this.send([{ type: 'hello', versions: [PROTOCOL_VERSION], ...hello }, ...this.#events.opened()])
  }

  #frame(data: string | Uint8Array): void {
    if (this.#over) return
    this.#heartbeat.heard()
    try {
      const messages = decodeFrame(this.codec, data)
      this.#events.frame('in', messages)
      for (const message of messages) if (!this.#over) this.#message(message)
    } catch (error) {
      this.#lose('a frame of the server could not be read', error)
    }
    this.#events.settled()
  }

  #message(message: ServerMessage): void {
    switch (message.type) {
      case 'welcome':
        this.welcome = message
        this.#cancelTimeout()
        this.#heartbeat.start(message.heartbeat)
        this.#events.welcomed(message)
        break
      case 'ping':
        this.send([{ type: 'pong' }])
        break
      case 'pong':
        break
      case 'goodbye':
        this.#end(message)
        break
      default:
        this.#events.received(message)
    }
  }

  /** The server has ended the link, or nobody knows why it ended. */
  #end({
    code,
    reason,
    again = comesBack(code),
    after,
  }: Pick<GoodbyeMessage, 'reason' | 'after'> & { readonly code: number; readonly again?: boolean }): void {
    const reached = this.welcome !== undefined || code >= 4000
    this.#finish({ code, again, after, reached, error: errorFromClose(code, reason) })
  }

  /** The link is of no more use. */
  #lose(message: string, cause?: unknown): void {
    const error = new RtapiError('unavailable', `the link was given up: ${message}`, { cause })
    const reached = this.welcome !== undefined
    this.#finish({ code: closeCodes.heartbeat, again: true, after: undefined, reached, error })
    this.#events.settled()
  }

  #finish(end: LinkEnd): void {
    if (this.#over) return
    this.close(end.code >= 4000 ? end.code : 1000, '')
    this.#events.ended(end)
  }
}
