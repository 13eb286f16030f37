import type { ClientTransport } from './client-transport.ts'
import { absoluteUrl } from './transport-url.ts'

/** What the transport uses of a WebSocket: those of browsers, of Node and of the `ws` package have it. */
export interface WebSocketLike {
  /** Set to `arraybuffer`. */
  binaryType: string
  addEventListener(type: 'open' | 'error', listener: () => void): void
  addEventListener(type: 'message', listener: (event: { readonly data?: unknown }) => void): void
  addEventListener(type: 'close', listener: (event: { readonly code: number; readonly reason: string }) => void): void
  send(data: string | Uint8Array<ArrayBuffer>): void
  close(code?: number, reason?: string): void
}

/** A constructor of WebSockets. */
export type WebSocketConstructor = new (url: string, protocols: string[]) => WebSocketLike

export interface WebSocketTransportOptions {
  /** Where the server listens: `wss:`, `https:`, or relative to the page. @default the `url` of the client */
  readonly url?: string
  /** For a platform without a `WebSocket` of its own. @default globalThis.WebSocket */
  readonly WebSocket?: WebSocketConstructor | undefined
}

/** Links over WebSocket: the least overhead and delay of all, where nothing between client and server forbids it. */
export function webSocketTransport(options: WebSocketTransportOptions = {}): ClientTransport {
  return {
    name: 'ws',
    connect(request) {
      const Constructor: WebSocketConstructor | undefined = options.WebSocket ?? globalThis.WebSocket
      if (Constructor === undefined) {
        throw new TypeError(
          'this platform has no WebSocket: give one to createClient or webSocketTransport as { WebSocket }',
        )
      }
      const url = absoluteUrl(options.url ?? request.url, 'wss://example.com/rt')
      url.protocol = url.protocol.replace(/^http/, 'ws')
      const socket = new Constructor(url.href, [...request.protocols])
      socket.binaryType = 'arraybuffer'
      let state: 'opening' | 'open' | 'closing' = 'opening'
      socket.addEventListener('open', () => {
        if (state === 'closing') return
        state = 'open'
        request.onOpen()
      })
      socket.addEventListener('message', ({ data }) => {
        if (state !== 'open') return
        if (typeof data === 'string') request.onFrame(data)
        else if (data instanceof ArrayBuffer) request.onFrame(new Uint8Array(data))
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
          if (state === 'open') socket.send(frame as string | Uint8Array<ArrayBuffer>)
        },
        close(code, reason) {
          state = 'closing'
          socket.close(code, reason)
        },
      }
    },
  }
}
