import { type Socket, io } from 'socket.io-client'
import type { FrameCodec, OpenLink } from '../wire-link.ts'

/** Over the stock client of socket.io, by one of its transports. */
export function openSocketIo(transport: 'websocket' | 'polling', codec: FrameCodec): OpenLink {
  return (line, { hello, headers, received, closed }) => {
    const socket = io(line.socketio, {
      path: line.socketioPath,
      transports: [transport],
      auth: { codec: codec.name },
      extraHeaders: { ...headers },
      forceNew: true,
      reconnection: false,
    })
    socket.on('connect', () => socket.emit('rtapi', codec.encode(hello)))
    socket.on('rtapi', (data: string | Buffer) => received(codec.decode(data)))
    // The close code is in the frame before, `goodbye`.
    socket.on('disconnect', (reason) => closed({ code: 1006, reason }))
    socket.on('connect_error', ({ message }) => closed({ code: 1006, reason: message }))
    return {
      send: (frame) => void socket.emit('rtapi', codec.encode(frame)),
      close: () => void socket.disconnect(),
      cut: () => cut(socket),
    }
  }
}

/** Ends what is below the client, which would else say goodbye. */
function cut(socket: Socket): void {
  const { transport } = socket.io.engine as unknown as {
    readonly transport: { readonly ws?: { terminate?(): void }; onError(reason: string): void }
  }
  if (transport.ws?.terminate === undefined) transport.onError('cut')
  else transport.ws.terminate()
}
