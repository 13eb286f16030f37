import { WebSocket } from 'ws'
import type { FrameCodec, OpenLink } from '../wire-link.ts'

/** Over the WebSocket of the package `ws`. */
export function openWs(codec: FrameCodec): OpenLink {
  return (line, { hello, headers, received, closed }) => {
    const socket = new WebSocket(line.ws, [`rtapi.v1.${codec.name}`], { headers: { ...headers } })
    socket.on('open', () => socket.send(codec.encode(hello)))
    socket.on('message', (data: Buffer, isBinary) => received(codec.decode(isBinary ? data : data.toString('utf8'))))
    socket.on('close', (code, reason) => closed({ code, reason: reason.toString('utf8') }))
    // What was wrong comes with the close.
    socket.on('error', () => undefined)
    return {
      send: (frame) => socket.send(codec.encode(frame)),
      close: () => socket.close(),
      cut: () => socket.terminate(),
    }
  }
}
