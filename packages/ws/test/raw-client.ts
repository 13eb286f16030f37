import { type Socket, connect } from 'node:net'
import { Queue } from './queue.ts'

/** A WebSocket frame as it stands on the wire. */
export interface WireFrame {
  readonly fin: boolean
  readonly opcode: number
  readonly masked: boolean
  readonly payload: Buffer
}

export interface FrameParts {
  readonly fin?: boolean
  /** The three reserved bits as a number, 4 being RSV1. */
  readonly rsv?: number
  readonly opcode: number
  readonly mask?: boolean
  readonly payload?: Buffer | string
  /** Writes the length in so many bits, whether or not that is the shortest form. */
  readonly lengthBits?: 7 | 16 | 64
  /** The length that the header claims. */
  readonly claims?: bigint
}

const KEY = 'dGhlIHNhbXBsZSBub25jZQ=='
export const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const

/** Builds one frame, right or wrong, as a client would send it. */
export function buildFrame({ fin = true, rsv = 0, opcode, mask = true, payload = '', ...form }: FrameParts): Buffer {
  const body = Buffer.from(payload)
  const length = form.claims ?? BigInt(body.length)
  const bits = form.lengthBits ?? (length < 126n ? 7 : length < 65_536n ? 16 : 64)
  const header = Buffer.alloc(bits === 7 ? 2 : bits === 16 ? 4 : 10)
  header[0] = (fin ? 0x80 : 0) | (rsv << 4) | opcode
  header[1] = (mask ? 0x80 : 0) | (bits === 7 ? Number(length) : bits === 16 ? 126 : 127)
  if (bits === 16) header.writeUInt16BE(Number(length), 2)
  if (bits === 64) header.writeBigUInt64BE(length, 2)
  if (!mask) return Buffer.concat([header, body])
  const key = Buffer.from([0x37, 0xfa, 0x21, 0x3d])
  return Buffer.concat([header, key, body.map((byte, i) => byte ^ (key[i % 4] ?? 0))])
}

export const text = (payload: string): Buffer => buildFrame({ opcode: opcodes.text, payload })

/** The payload of a close frame. */
export function closePayload(code: number, reason: string | Buffer = ''): Buffer {
  const head = Buffer.alloc(2)
  head.writeUInt16BE(code)
  return Buffer.concat([head, Buffer.from(reason)])
}

/** Header lines of a handshake; `null` leaves one out, an array sends it several times. */
export type Headers = Readonly<Record<string, string | readonly string[] | null>>

/** The request of a right handshake, with the given headers replaced. */
function handshake(port: number, headers: Headers = {}, requestLine = 'GET /rt HTTP/1.1'): string {
  const all: Headers = {
    Host: `127.0.0.1:${port}`,
    Upgrade: 'websocket',
    Connection: 'Upgrade',
    'Sec-WebSocket-Key': KEY,
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Protocol': 'rtapi.v1.json',
    ...headers,
  }
  const lines = Object.entries(all).flatMap(([name, value]) =>
    value === null ? [] : [value].flat().map((one) => `${name}: ${one}`),
  )
  return `${requestLine}\r\n${lines.join('\r\n')}\r\n\r\n`
}

/** The answer to a handshake. */
export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  /** As far as it came with the head. */
  readonly body: string
}

/** A client on a bare TCP connection, which sends what it is told and takes frames apart only as far as needed. */
export class RawClient {
  readonly socket: Socket
  readonly answers = new Queue<Answer>()
  readonly frames = new Queue<WireFrame>()
  /** Resolves when the server has ended its side. */
  readonly ended: Promise<void>
  #buffered: Buffer = Buffer.alloc(0)
  #upgraded = false

  private constructor(socket: Socket) {
    this.socket = socket
    this.ended = new Promise((resolve) => socket.once('close', () => resolve()))
    socket.on('error', () => socket.destroy())
    socket.on('data', (chunk) => this.#take(chunk))
  }

  static connect(port: number): Promise<RawClient> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1', noDelay: true }, () => resolve(new RawClient(socket)))
      socket.once('error', reject)
    })
  }

  /** Connects and shakes hands; answers what the server said to that. */
  static async open(port: number, headers?: Headers, requestLine?: string): Promise<RawClient & { answer: Answer }> {
    const client = await RawClient.connect(port)
    client.socket.write(handshake(port, headers, requestLine))
    return Object.assign(client, { answer: await client.answers.next() })
  }

  write(...bytes: readonly Buffer[]): void {
    this.socket.write(Buffer.concat(bytes))
  }

  /** The code and reason of the next close frame; other frames before it are left out. */
  async closeFrame(): Promise<{ code: number; reason: string }> {
    for (;;) {
      const { opcode, payload } = await this.frames.next()
      if (opcode !== opcodes.close) continue
      return { code: payload.length < 2 ? 1005 : payload.readUInt16BE(0), reason: payload.toString('utf8', 2) }
    }
  }

  /** The text of the next data frame. */
  async nextText(): Promise<string> {
    for (;;) {
      const { opcode, payload } = await this.frames.next()
      if (opcode <= opcodes.binary) return payload.toString()
    }
  }

  #take(chunk: Buffer): void {
    this.#buffered = Buffer.concat([this.#buffered, chunk])
    if (!this.#upgraded) this.#takeAnswer()
    if (this.#upgraded) this.#takeFrames()
  }

  #takeAnswer(): void {
    const end = this.#buffered.indexOf('\r\n\r\n')
    if (end < 0) return
    const [first = '', ...lines] = this.#buffered.toString('latin1', 0, end).split('\r\n')
    const headers = Object.fromEntries(
      lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 2)]),
    )
    const status = Number(first.split(' ')[1])
    this.#buffered = this.#buffered.subarray(end + 4)
    this.#upgraded = status === 101
    this.answers.push({ status, headers, body: this.#upgraded ? '' : this.#buffered.toString() })
  }

  #takeFrames(): void {
    for (let frame = this.#nextFrame(); frame !== undefined; frame = this.#nextFrame()) this.frames.push(frame)
  }

  #nextFrame(): WireFrame | undefined {
    const bytes = this.#buffered
    if (bytes.length < 2) return undefined
    const [first = 0, second = 0] = bytes
    const short = second & 0x7f
    const start = short === 126 ? 4 : short === 127 ? 10 : 2
    if (bytes.length < start) return undefined
    const length = short === 126 ? bytes.readUInt16BE(2) : short === 127 ? Number(bytes.readBigUInt64BE(2)) : short
    if (bytes.length < start + length) return undefined
    this.#buffered = bytes.subarray(start + length)
    return {
      fin: first >= 0x80,
      opcode: first & 0x0f,
      masked: second >= 0x80,
      payload: bytes.subarray(start, start + length),
    }
  }
}
