/** One event of a `text/event-stream`. */
export interface StreamEvent {
  /** @default 'message' */
  readonly type: string
  /** The lines of its data, with line feeds between them. */
  readonly data: string
  /** The id that this event or one before it has named; empty if none has. */
  readonly id: string
}

/** Reads server-sent events out of text which comes in pieces of any size (HTML standard, 9.2.6). */
export class EventStreamParser {
  /** Milliseconds that the server wants the client to wait before it opens the stream again. */
  retry: number | undefined
  readonly #event: (event: StreamEvent) => void
  #rest = ''
  #afterReturn = false
  #begun = false
  #type = ''
  #data: string[] = []
  #id = ''

  constructor(event: (event: StreamEvent) => void) {
    this.#event = event
  }

  /** Takes the next piece. */
  push(text: string): void {
    let at = 0
    let from = 0
    const piece = this.#begun ? text : text.replace(/^\uFEFF/, '')
    if (piece !== '') this.#begun = true
    for (; at < piece.length; at++) {
      const letter = piece[at]
      // A line ends with CR, LF, or both; the two may come in different pieces.
      if (letter === '\n' && this.#afterReturn) from = at + 1
      else if (letter === '\n' || letter === '\r') {
        this.#line(this.#rest + piece.slice(from, at))
        this.#rest = ''
        from = at + 1
      }
      this.#afterReturn = letter === '\r'
    }
    this.#rest += piece.slice(from)
  }

  #line(line: string): void {
    if (line === '') return this.#dispatch()
    const colon = line.indexOf(':')
    const field = colon < 0 ? line : line.slice(0, colon)
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '')
    if (field === 'data') this.#data.push(value)
    else if (field === 'event') this.#type = value
    else if (field === 'id' && !value.includes('\0')) this.#id = value
    else if (field === 'retry' && /^\d+$/.test(value)) this.retry = Number(value)
  }

  #dispatch(): void {
    const data = this.#data
    const type = this.#type
    this.#data = []
    this.#type = ''
    if (data.length > 0) this.#event({ type: type || 'message', data: data.join('\n'), id: this.#id })
  }
}
