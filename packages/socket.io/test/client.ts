import { Agent } from 'node:http'
import { type Codec, jsonCodec } from '@rtapi/core'
import type { RawConnect, RawLink } from '@rtapi/testing'
import { type ManagerOptions, type Socket, type SocketOptions, io } from 'socket.io-client'

/** Frames as JSON, written as bytes. */
export const bytesCodec: Codec = {
  name: 'bytes',
  encode: (frame) => Buffer.from(JSON.stringify(frame)),
  decode: (data) => jsonCodec.decode(data),
}

interface Connect extends RawConnect {
  readonly transport?: 'websocket' | 'polling'
  readonly namespace?: string
  readonly options?: Partial<ManagerOptions & SocketOptions>
}

/** A link of the stock client, which has connected. Rejects with what the client was told. */
export async function connect(port: number, { transport = 'websocket', ...options }: Connect = {}): Promise<Link> {
  const agent = new Agent()
  const socket = io(`http://127.0.0.1:${port}${options.namespace ?? ''}`, {
    transports: [transport],
    forceNew: true,
    agent: agent as unknown as string,
    reconnection: false,
    extraHeaders: { ...options.headers },
    ...(options.codec === undefined ? {} : { auth: { codec: options.codec } }),
    ...options.options,
  })
  const link = new Link(socket, agent)
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve)
    socket.once('connect_error', (error) => {
      socket.disconnect()
      reject(error)
    })
  })
  return link
}

/** What the client's own transports have; polling can be paused, since that is how it is upgraded. */
interface ClientTransport {
  readonly ws?: { pause(): void; resume(): void; terminate(): void }
  readyState: string
  pause(done: () => void): void
  doOpen(): void
}

type End = { readonly code: number; readonly reason: string; readonly again?: boolean }

/** What the client of the test kit is for other transports. */
export class Link implements RawLink {
  readonly received: (string | Uint8Array)[] = []
  readonly closed: Promise<End>
  private readonly socket: Socket
  private readonly agent: Agent
  private goodbye: End | undefined

  constructor(socket: Socket, agent: Agent) {
    this.socket = socket
    this.agent = agent
    socket.on('rtapi', (data: string | Uint8Array) => this.take(data))
    this.closed = new Promise((resolve) => {
      socket.once('disconnect', (reason) => resolve(this.goodbye ?? { code: 1006, reason }))
    })
  }

  send(data: string | Uint8Array): void {
    this.socket.emit('rtapi', data)
  }

  close(): void {
    this.socket.disconnect()
  }

  abort(): void {
    this.transport.ws?.terminate()
    this.agent.destroy()
  }

  pause(): void {
    const { transport } = this
    if (transport.ws === undefined) transport.pause(() => undefined)
    else transport.ws.pause()
  }

  resume(): void {
    const { transport } = this
    transport.ws?.resume()
    if (transport.readyState !== 'paused') return
    transport.readyState = 'open'
    transport.doOpen()
  }

  private get transport(): ClientTransport {
    return this.socket.io.engine.transport as unknown as ClientTransport
  }

  /** socket.io says how a link ends in a last frame. */
  private take(data: string | Uint8Array): void {
    const text = typeof data === 'string' ? data : new TextDecoder().decode(data)
    if (text.startsWith('{"type":"goodbye"')) this.goodbye = JSON.parse(text) as End
    else this.received.push(data)
  }
}
