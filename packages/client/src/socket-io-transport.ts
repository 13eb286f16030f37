import type { ClientTransport } from './client-transport.ts'
import { httpUrl } from './transport-url.ts'

/** What the transport uses of a socket of `socket.io-client`. */
export interface SocketIoSocketLike {
  on(event: string, listener: (data: never) => void): unknown
  off(): unknown
  emit(event: string, data: unknown): unknown
  disconnect(): unknown
}

/** The `io` of `socket.io-client`. */
export type SocketIo = (url: string, options: Readonly<Record<string, unknown>>) => SocketIoSocketLike

export interface SocketIoTransportOptions {
  /**
   * Where the socket.io server listens, with the namespace as its path: `https://example.com/live`.
   * @default the origin of the client's `url`, and the main namespace
   */
  readonly url?: string
  /** Further options of `io`, such as `path`, `transports`, `withCredentials` or an `auth` for the server's middleware. */
  readonly options?: Readonly<Record<string, unknown>>
}

/** The one event that carries frames. */
const EVENT = 'rtapi'

/**
 * Links over socket.io, to a server with `@rtapi/socket.io`. You bring the `io` of `socket.io-client`; its own
 * reconnection is turned off, since this client does that, and more. Why the server closes stands in its last frame,
 * which the client reads; a handshake that is refused ends with the code of the refusal. What is sent right before the
 * link is closed may be dropped by the server: socket.io lets no event through that comes along with a disconnect.
 */
export function socketIoTransport(io: SocketIo, { url, options = {} }: SocketIoTransportOptions = {}): ClientTransport {
  return {
    name: 'socket.io',
    connect(request) {
      const address = httpUrl(url ?? request.url)
      if (url === undefined) address.pathname = address.search = ''
      const { auth } = options
      const socket = io(address.href, {
        ...options,
        // Links must not share a connection, nor wait for each other.
        forceNew: true,
        reconnection: false,
        auth: { ...(typeof auth === 'object' ? auth : {}), codec: request.codec },
      })
      let state: 'opening' | 'open' | 'over' = 'opening'
      const over = (code: number, reason: string): void => {
        if (state === 'over') return
        state = 'over'
        socket.off()
        // A manager that could not connect is still there.
        socket.disconnect()
        request.onClose(code, reason)
      }
      socket.on('connect', () => {
        if (state !== 'opening') return
        state = 'open'
        request.onOpen()
      })
      socket.on(EVENT, (data: unknown) => {
        if (state !== 'open') return
        if (typeof data === 'string' || data instanceof Uint8Array) request.onFrame(data)
        else if (data instanceof ArrayBuffer) request.onFrame(new Uint8Array(data))
      })
      socket.on('connect_error', (error: Error & { readonly data?: { readonly code?: unknown } }) => {
        const code = error.data?.code
        over(typeof code === 'number' ? code : 1006, error.message)
      })
      socket.on('disconnect', (reason: string) => over(1006, reason))
      return {
        send(frame) {
          if (state === 'open') socket.emit(EVENT, frame)
        },
        close() {
          if (state === 'over') return
          state = 'over'
          socket.off()
          socket.disconnect()
        },
      }
    },
  }
}
