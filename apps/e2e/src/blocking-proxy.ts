import { once } from 'node:events'
import { type IncomingMessage, createServer, request } from 'node:http'
import { type AddressInfo, type Socket, connect } from 'node:net'
import type { Duplex } from 'node:stream'

/** An HTTP proxy as there are in offices: at times it lets no WebSocket through. */
export interface BlockingProxy {
  readonly url: string
  /** Ends the WebSockets that are open, and refuses others, until `unblock`. */
  block(): void
  unblock(): void
  close(): Promise<void>
}

/** @param target - the address of the server behind it. */
export async function startBlockingProxy(target: string): Promise<BlockingProxy> {
  const { hostname, port } = new URL(target)
  const upgraded = new Set<Duplex>()
  let isBlocked = false

  const server = createServer((incoming, outgoing) => {
    const { method, url: path, headers } = incoming
    const passed = request({ hostname, port, method, path, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(outgoing)
    })
    passed.on('error', () => outgoing.destroy())
    outgoing.on('close', () => passed.destroy())
    incoming.pipe(passed)
  })
  server.on('upgrade', (incoming: IncomingMessage, socket: Socket, head: Buffer) => {
    socket.on('error', () => undefined)
    if (isBlocked) {
      socket.end('HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 0\r\n\r\n')
      return
    }
    upgraded.add(socket)
    const onward = connect(Number(port), hostname)
    const lines = incoming.rawHeaders.map((text, at) => (at % 2 === 0 ? `${text}: ` : `${text}\r\n`)).join('')
    onward.write(`${incoming.method} ${incoming.url} HTTP/1.1\r\n${lines}\r\n`)
    onward.write(head)
    socket.pipe(onward).pipe(socket)
    onward.on('error', () => socket.destroy())
    onward.on('close', () => socket.destroy())
    socket.on('close', () => {
      upgraded.delete(socket)
      onward.destroy()
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    block() {
      isBlocked = true
      for (const socket of upgraded) socket.destroy()
    },
    unblock: () => void (isBlocked = false),
    async close() {
      for (const socket of upgraded) socket.destroy()
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
