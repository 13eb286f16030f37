import type { Clock } from '@rtapi/core'
import type { FrameLog } from './frame-log.ts'
import { joined } from './joined.ts'

/** What a stream needs of its session. */
export interface StreamSource {
  readonly log: FrameLog
  readonly clock: Clock
  end(): { readonly code: number; readonly reason: string } | undefined
  /** So many bytes of frames have been handed on. */
  sent(size: number): void
  /** Everything was said, the end too. */
  finished(): void
  /** Nobody reads any more. */
  left(): void
}

/** Milliseconds of silence after which a line is sent that means nothing: proxies end connections without traffic. */
const SILENCE = 15_000
/** Milliseconds after which a browser comes back; those who were torn off together do not come back together. */
const COME_BACK = 1_000
const COME_BACK_SPREAD = 2_000
/** Bytes that are handed on before the network asks for more. */
const AHEAD = 65_536
const encoder = new TextEncoder()
const NEWLINE = 10
const RETURN = 13

/** The frames of a session as server-sent events; the id of each is the session and the number of the frame. */
export class EventStream {
  readonly body: ReadableStream<Uint8Array>
  readonly #session: string
  readonly #source: StreamSource
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined
  #cursor: number
  #wroteAt: number

  constructor(session: string, cursor: number, source: StreamSource) {
    this.#session = session
    this.#cursor = cursor
    this.#source = source
    this.#wroteAt = source.clock.monotonic()
    this.body = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller
          // Sent at once, so that the client knows that the stream is open.
          controller.enqueue(encoder.encode(retryLine(COME_BACK + Math.floor(Math.random() * COME_BACK_SPREAD))))
        },
        pull: () => this.pump(),
        cancel: () => {
          this.#controller = undefined
          source.left()
        },
      },
      new ByteLengthQueuingStrategy({ highWaterMark: AHEAD }),
    )
  }

  /** The number of the last frame that was handed on. */
  get cursor(): number {
    return this.#cursor
  }

  /** Hands on what there is room for. */
  pump(): void {
    let size = 0
    for (;;) {
      const frame = this.#source.log.at(this.#cursor + 1)
      if (frame === undefined || !this.#hasRoom) break
      this.#cursor++
      size += frame.byteLength
      this.#write(eventBytes(`${this.#session}.${this.#cursor}`, frame))
    }
    if (size > 0) this.#source.sent(size)
    const end = this.#source.end()
    if (end === undefined || this.#cursor < this.#source.log.last || this.#controller === undefined) return
    this.#write(encoder.encode(`event: close\ndata: ${JSON.stringify(end)}\n\n`))
    this.close()
    this.#source.finished()
    this.#source.left()
  }

  /** Sends a line that means nothing, after a silence. */
  keepAlive(now: number): void {
    if (now - this.#wroteAt >= SILENCE && this.#hasRoom) this.#write(encoder.encode(':\n\n'))
  }

  /** Ends the answer; the session goes on. Where nobody reads, what is left of it is torn. */
  close(): void {
    const controller = this.#controller
    this.#controller = undefined
    if ((controller?.desiredSize ?? 0) > 0) controller?.close()
    else controller?.error(new Error('The client does not read.'))
  }

  get #hasRoom(): boolean {
    return (this.#controller?.desiredSize ?? 0) > 0
  }

  #write(bytes: Uint8Array): void {
    this.#wroteAt = this.#source.clock.monotonic()
    this.#controller?.enqueue(bytes)
  }
}

/** Says to come back after so many milliseconds. */
export function retryLine(milliseconds: number): string {
  return `retry: ${milliseconds}\n\n`
}

function eventBytes(id: string, frame: Uint8Array): Uint8Array {
  const head = encoder.encode(`id: ${id}\ndata: `)
  const tail = encoder.encode('\n\n')
  const data = frame.includes(NEWLINE) || frame.includes(RETURN) ? dataLines(frame) : frame
  return joined([head, data, tail], head.byteLength + data.byteLength + tail.byteLength)
}

/** An event holds lines; the reader puts them together again. */
function dataLines(frame: Uint8Array): Uint8Array {
  const lines = new TextDecoder().decode(frame).split(/\r\n|\r|\n/)
  return encoder.encode(lines.join('\ndata: '))
}
