import { WebSocket } from 'ws'
import { type OpenLink, frameText, messagesOf } from '../wire-link.ts'

/** Over the WebSocket of the package `ws`. */
export const openWs: OpenLink = (line, { hello, headers, received, closed }) => {
  const socket = new WebSocket(line.ws, ['rtapi.v1.json'], { headers: { ...headers } })
  socket.on('open', () => socket.send(frameText(hello)))
  socket.on('message', (data: Buffer) => received(messagesOf(data.toString('utf8'))))
  socket.on('close', (code, reason) => closed({ code, reason: reason.toString('utf8') }))
  // What was wrong comes with the close.
  socket.on('error', () => undefined)
  return {
    send: (frame) => socket.send(frameText(frame)),
    close: () => socket.close(),
    cut: () => socket.terminate(),
  }
}
