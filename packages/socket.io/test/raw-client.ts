import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { type Socket, connect } from 'node:net'

/** Header lines; `null` leaves one out. */
export type Headers = Readonly<Record<string, string | readonly string[] | null>>

export const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const

interface FrameParts {
  readonly fin?: boolean
  readonly opcode?: number
  readonly payload?: string | Buffer
}

/** One masked WebSocket frame, right or wrong. */
export function frame({ fin = true, opcode = opcodes.text, payload = '' }: FrameParts): Buffer {
  const body = Buffer.from(payload)
  const header = Buffer.alloc(body.length < 126 ? 2 : body.length < 65_536 ? 4 : 10)
  header[0] = (fin ? 0x80 : 0) | opcode
  if (header.length === 2) header[1] = 0x80 | body.length
  else if (header.length === 4) {
    header[1] = 0x80 | 126
    header.writeUInt16BE(body.length, 2)
  } else {
    header[1] = 0x80 | 127
    header.writeBigUInt64BE(BigInt(body.length), 2)
  }
  // A mask of zeros changes nothing.
  return Buffer.concat([header, Buffer.alloc(4), body])
}

export interface WireFrame {
  readonly opcode: number
  readonly payload: Buffer
}

const TIMEOUT = 20_000

/** A WebSocket to an Engine.IO server on a bare TCP connection, which sends what it is told. */
export class RawSocket {
  readonly raw: Socket
  readonly frames: WireFrame[] = []
  /** Of the answer to the handshake. */
  status = 0
  body = ''
  head = ''
  isOver = false
  #buffered: Buffer = Buffer.alloc(0)
  #wake: (() => void)[] = []

  private constructor(raw: Socket) {
    this.raw = raw
    raw.on('error', () => raw.destroy())
    raw.on('close', () => {
      this.isOver = true
      this.#tell()
    })
    raw.on('data', (chunk) => this.#take(chunk))
  }

  /** Asks for an upgrade, and waits for the answer. */
  static async open(port: number, headers: Headers = {}, query = ''): Promise<RawSocket> {
    const raw = connect({ port, host: '127.0.0.1', noDelay: true })
    await once(raw, 'connect')
    const client = new RawSocket(raw)
    const all: Headers = {
      Host: `127.0.0.1:${port}`,
      Upgrade: 'websocket',
      Connection: 'Upgrade',
      'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
      'Sec-WebSocket-Version': '13',
      ...headers,
    }
    const lines = Object.entries(all).flatMap(([name, value]) =>
      value === null ? [] : [value].flat().map((one) => `${name}: ${one}`),
    )
    raw.write(`GET /socket.io/?EIO=4&transport=websocket${query} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`)
    await client.until('an answer', () => (client.status > 0 || client.isOver ? true : undefined))
    return client
  }

  /** Opens, and joins a namespace with what is given as `auth`. */
  static async join(
    port: number,
    { namespace = '/', auth = {} }: { namespace?: string; auth?: object } = {},
  ): Promise<RawSocket> {
    const client = await RawSocket.open(port)
    client.text(`40${namespace === '/' ? '' : `${namespace},`}${JSON.stringify(auth)}`)
    await client.untilText('40')
    return client
  }

  /** Sends one text frame: an Engine.IO packet. */
  text(payload: string): void {
    this.write(frame({ payload }))
  }

  write(...bytes: readonly Buffer[]): void {
    this.raw.write(Buffer.concat(bytes))
  }

  get texts(): readonly string[] {
    return this.frames.filter(({ opcode }) => opcode === opcodes.text).map(({ payload }) => payload.toString())
  }

  /** Waits for a text frame that begins so. */
  untilText(start: string): Promise<string> {
    return this.until(`a text that begins with ${start}`, () => this.texts.find((text) => text.startsWith(start)))
  }

  /** The code of the server's close frame, or 1006 if it has just ended the connection. */
  closeCode(): Promise<number> {
    return this.until('the end', () => {
      const close = this.frames.find(({ opcode }) => opcode === opcodes.close)
      if (close !== undefined) return close.payload.length < 2 ? 1005 : close.payload.readUInt16BE(0)
      return this.isOver ? 1006 : undefined
    })
  }

  async until<T>(what: string, take: () => T | undefined): Promise<T> {
    const end = performance.now() + TIMEOUT
    for (;;) {
      const found = take()
      if (found !== undefined) return found
      if (performance.now() > end) throw new Error(`waited in vain for ${what}: ${this.texts.join(' ').slice(0, 500)}`)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 1_000)
        this.#wake.push(() => {
          clearTimeout(timer)
          resolve()
        })
      })
    }
  }

  #tell(): void {
    for (const run of this.#wake.splice(0)) run()
  }

  #take(chunk: Buffer): void {
    this.#buffered = Buffer.concat([this.#buffered, chunk])
    if (this.status === 0) this.#takeAnswer()
    if (this.status === 101) while (this.#takeFrame());
    this.#tell()
  }

  #takeAnswer(): void {
    const end = this.#buffered.indexOf('\r\n\r\n')
    if (end < 0) return
    this.head = this.#buffered.toString('latin1', 0, end)
    this.#buffered = this.#buffered.subarray(end + 4)
    this.status = Number(this.head.split(' ')[1])
    if (this.status !== 101) this.body = this.#buffered.toString()
  }

  #takeFrame(): boolean {
    const bytes = this.#buffered
    if (bytes.length < 2) return false
    const [first = 0, short = 0] = bytes
    const start = short === 126 ? 4 : short === 127 ? 10 : 2
    if (bytes.length < start) return false
    const length = short === 126 ? bytes.readUInt16BE(2) : short === 127 ? Number(bytes.readBigUInt64BE(2)) : short
    if (bytes.length < start + length) return false
    this.#buffered = bytes.subarray(start + length)
    this.frames.push({ opcode: first & 0x0f, payload: bytes.subarray(start, start + length) })
    return true
  }
}

export interface Answer {
  readonly status: number
  readonly body: string
}

/** One request to an Engine.IO server, as polling makes them. */
export async function poll(port: number, { headers = {}, query = '', body }: PollOptions = {}): Promise<Answer> {
  const sent = request({
    port,
    host: '127.0.0.1',
    path: `/socket.io/?EIO=4&transport=polling${query}`,
    method: body === undefined ? 'GET' : 'POST',
    headers: { ...headers },
    agent: false,
  })
  sent.end(body)
  const [response] = (await once(sent, 'response')) as [IncomingMessage]
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk as Buffer)
  return { status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString() }
}

export interface PollOptions {
  readonly headers?: Readonly<Record<string, string>>
  readonly query?: string
  /** Posts this. */
  readonly body?: string | Buffer
}

/** A session of polling that has joined a namespace, done by hand. */
export class RawPolling {
  readonly sid: string
  private readonly port: number

  private constructor(port: number, sid: string) {
    this.port = port
    this.sid = sid
  }

  static async open(port: number): Promise<RawPolling> {
    const { body } = await poll(port)
    return new RawPolling(port, (JSON.parse(body.slice(1)) as { sid: string }).sid)
  }

  static async join(port: number): Promise<RawPolling> {
    const session = await RawPolling.open(port)
    await session.post('40{}')
    await session.get()
    return session
  }

  /** The packets of one answer. */
  async get(): Promise<readonly string[]> {
    return (await poll(this.port, { query: `&sid=${this.sid}` })).body.split('\u001e')
  }

  post(body: string | Buffer, headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
    return poll(this.port, { query: `&sid=${this.sid}`, body, headers })
  }
}
