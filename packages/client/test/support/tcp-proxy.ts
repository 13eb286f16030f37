import { once } from 'node:events'
import { type AddressInfo, type Socket, connect, createServer } from 'node:net'

/**
 * What the proxy does with connections. `open`: passes everything on. `refuse`: ends them at once. `swallow`: takes them
 * and passes nothing on. `mute`: passes on what the client sends and nothing of what comes back. A number: passes so many
 * bytes of the server on, then ends them.
 */
export type ProxyMode = 'open' | 'refuse' | 'swallow' | 'mute' | number

/** A proxy between a client and a port of this machine, whose mode may change at any time. */
export class TcpProxy {
  port = 0
  /** Connections that it was asked for. */
  attempts = 0
  #mode: ProxyMode = 'open'
  readonly #sockets = new Set<Socket>()
  readonly #server = createServer((socket) => this.#accept(socket))
  #target = 0

  static async start(target: number): Promise<TcpProxy> {
    const proxy = new TcpProxy()
    proxy.#target = target
    proxy.#server.listen(0, '127.0.0.1')
    await once(proxy.#server, 'listening')
    proxy.port = (proxy.#server.address() as AddressInfo).port
    return proxy
  }

  get mode(): ProxyMode {
    return this.#mode
  }

  /** Changes the mode; unless it is opened, what there is of connections is cut. */
  set mode(mode: ProxyMode) {
    this.#mode = mode
    if (mode !== 'open') this.cut()
  }

  cut(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  async stop(): Promise<void> {
    this.cut()
    this.#server.close()
    await once(this.#server, 'close')
  }

  #accept(client: Socket): void {
    this.attempts++
    this.#keep(client)
    const mode = this.#mode
    if (mode === 'refuse') return void client.destroy()
    if (mode === 'swallow') return void client.resume()
    const server = connect(this.#target, '127.0.0.1')
    this.#keep(server)
    let left = typeof mode === 'number' ? mode : Number.POSITIVE_INFINITY
    client.pipe(server)
    server.on('data', (bytes) => {
      if (mode === 'mute') return
      left -= bytes.length
      if (left >= 0) client.write(bytes)
      else client.destroy()
    })
    client.on('close', () => server.destroy())
    server.on('close', () => client.destroy())
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => this.#sockets.delete(socket))
  }
}
