import type { ClientTransport } from './client-transport.ts'

/** What the transport uses of a WebSocket: those of browsers, of Node and of the `ws` package have it. */
export interface WebSocketLike {
  addEventListener(type: 'open' | 'error', listener: () => void): void
  addEventListener(type: 'message', listener: (event: { readonly data?: unknown }) => void): void
  addEventListener(type: 'close', listener: (event: { readonly code: number; readonly reason: string }) => void): void
  send(data: string): void
  close(code?: number, reason?: string): void
}

/** A constructor of WebSockets. */
export type WebSocketConstructor = new (url: string, protocols: string[]) => WebSocketLike

/**
 * Links over WebSocket.
 * @param Socket - for a platform without a `WebSocket` of its own. @default globalThis.WebSocket
 */
export function webSocketTransport(Socket?: WebSocketConstructor): ClientTransport {
  return {
    name: 'ws',
    connect(request) {
      const Constructor: WebSocketConstructor | undefined = Socket ?? globalThis.WebSocket
      if (Constructor === undefined) {
        throw new TypeError('this platform has no WebSocket: give one to createClient({ WebSocket })')
      }
      const socket = new Constructor(webSocketUrl(request.url), [...request.protocols])
      let state: 'opening' | 'open' | 'closing' = 'opening'
      socket.addEventListener('open', () => {
        if (state === 'closing') return
        state = 'open'
        request.onOpen()
      })
      socket.addEventListener('message', ({ data }) => {
        if (state === 'open' && typeof data === 'string') request.onFrame(data)
      })
      socket.addEventListener('close', ({ code, reason }) => {
        if (state === 'closing') return
        state = 'closing'
        request.onClose(code, reason)
      })
      // A failure is always followed by `close`, which says all there is to know; some platforms want it listened to.
      socket.addEventListener('error', () => undefined)
      return {
        send(frame) {
          // Some implementations throw once the socket has begun to close; nothing given after that arrives.
          if (state === 'open') socket.send(frame)
        },
        close(code, reason) {
          state = 'closing'
          socket.close(code, reason)
        },
      }
    },
  }
}

/** Page-relative and `http:` addresses are taken as well; not every browser does that by itself. */
function webSocketUrl(url: string): string {
  const page = (globalThis as { readonly location?: { readonly href: string } }).location?.href
  if (!URL.canParse(url, page)) throw new TypeError(`url '${url}': expected an address such as wss://example.com/rt`)
  const absolute = new URL(url, page)
  absolute.protocol = absolute.protocol.replace(/^http/, 'ws')
  return absolute.href
}
