import { type OpenLink, json } from '../wire-link.ts'

/** Over the WebSocket that Node brings. It cannot be cut without a word, so a cut is a close. */
export const openNodeWebSocket: OpenLink = (line, { hello, headers, received, closed }) => {
  // Node's WebSocket takes headers, which browsers' do not.
  const Socket = WebSocket as unknown as new (url: string, options: object) => WebSocket
  const socket = new Socket(line.ws, { protocols: ['rtapi.v1.json'], headers })
  socket.addEventListener('open', () => socket.send(String(json.encode(hello))))
  socket.addEventListener('message', ({ data }) => received(json.decode(String(data))))
  socket.addEventListener('close', closed)
  return {
    send: (frame) => socket.send(String(json.encode(frame))),
    close: () => socket.close(),
    cut: () => socket.close(),
  }
}
