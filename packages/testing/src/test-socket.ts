import { type EncodedFrame, type SocketEvents, type TransportSocket, closeCodes } from '@rtapi/core'

/** Why and by whom a link was ended. */
export interface Closing {
  readonly code: number
  readonly reason: string
  readonly by: 'client' | 'server'
}

/** The server's end of a link in memory. What it sends is read at once, unless reading is paused. */
export class TestSocket implements TransportSocket {
  readonly id: string = crypto.randomUUID()
  /** Every frame sent, in order, read or not. */
  readonly frames: (string | Uint8Array)[] = []
  closing: Closing | undefined
  readonly #limit: number
  readonly #read: (data: string | Uint8Array) => void
  readonly #closed: () => void
  #events: SocketEvents | undefined
  #unread: (string | Uint8Array)[] = []
  #bytes = 0
  #paused = false

  /** @param limit - bytes of the largest frame that is taken from the client. */
  constructor(limit: number, on: { readonly read: (data: string | Uint8Array) => void; readonly closed: () => void }) {
    this.#limit = limit
    this.#read = on.read
    this.#closed = on.closed
  }

  get bufferedAmount(): number {
    return this.#bytes
  }

  attach(events: SocketEvents): void {
    this.#events = events
    // The server may have closed the link while it accepted it.
    if (this.closing !== undefined) this.#tellClosed(this.closing)
  }

  send({ data }: EncodedFrame): void {
    if (this.closing !== undefined) return
    this.frames.push(data)
    if (this.#paused) {
      this.#unread.push(data)
      this.#bytes += byteLength(data)
    } else this.#read(data)
  }

  close(code: number, reason: string): void {
    this.#end({ code, reason, by: 'server' })
  }

  receive(data: string | Uint8Array): void {
    if (this.closing !== undefined) return
    if (byteLength(data) > this.#limit) this.close(closeCodes.tooBig, 'frame too big')
    else this.#events?.receive(data)
  }

  closeByClient(code: number, reason: string): void {
    this.#end({ code, reason, by: 'client' })
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    const unread = this.#unread
    this.#unread = []
    this.#bytes = 0
    for (const data of unread) this.#read(data)
    if (unread.length > 0 && this.closing === undefined) this.#events?.drained()
  }

  #end(closing: Closing): void {
    if (this.closing !== undefined) return
    this.closing = closing
    this.#closed()
    if (this.#events !== undefined) this.#tellClosed(closing)
  }

  /** Later, as with a real link: whoever closes is not called back while it does. */
  #tellClosed({ code, reason }: Closing): void {
    queueMicrotask(() => this.#events?.closed(code, reason))
  }
}

function byteLength(data: string | Uint8Array): number {
  return typeof data === 'string' ? new TextEncoder().encode(data).length : data.length
}
