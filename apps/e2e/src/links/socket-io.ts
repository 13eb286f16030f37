import { type Socket, io } from 'socket.io-client'
import { type OpenLink, frameText, messagesOf } from '../wire-link.ts'

/** Over the stock client of socket.io, by one of its transports. */
export function openSocketIo(transport: 'websocket' | 'polling'): OpenLink {
  return (line, { hello, headers, received, closed }) => {
    const socket = io(line.socketio, {
      path: line.socketioPath,
      transports: [transport],
      extraHeaders: { ...headers },
      forceNew: true,
      reconnection: false,
    })
    socket.on('connect', () => socket.emit('rtapi', frameText(hello)))
    socket.on('rtapi', (text: string) => received(messagesOf(text)))
    // The close code is in the frame before, `goodbye`.
    socket.on('disconnect', (reason) => closed({ code: 1006, reason }))
    socket.on('connect_error', ({ message }) => closed({ code: 1006, reason: message }))
    return {
      send: (frame) => void socket.emit('rtapi', frameText(frame)),
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
