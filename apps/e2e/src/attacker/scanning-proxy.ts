import { once } from 'node:events'
import { type AddressInfo, type Socket, connect, createServer } from 'node:net'
import type { BoardLine } from '../../../board/src/board-line.ts'

/** The way of one client to a board, on which every byte of the server is read before the client has it. */
export interface ScanningProxy {
  /** The board, as the client is to reach it. */
  readonly line: BoardLine
  /** Takes nothing from the server for a while, as a client that does not read. */
  pause(): void
  resume(): void
  /** Loses every connection, without a word. */
  cut(): void
  stop(): Promise<void>
}

/** Reads what comes on one connection. @param fresh - where what had not come before begins. */
export type Scan = (text: string, fresh: number) => void

/** Characters that are looked at once more with what follows, since the network cuts texts anywhere. */
const OVERLAP = 64

/** @param connected - is called for each connection. */
export async function startScanningProxy(board: BoardLine, connected: () => Scan): Promise<ScanningProxy> {
  const port = Number(new URL(board.http).port)
  const pairs = new Map<Socket, Socket>()
  let isPaused = false
  const server = createServer({ noDelay: true }, (near) => {
    const far = connect({ port, host: '127.0.0.1', noDelay: true })
    pairs.set(near, far)
    const scan = connected()
    let before = ''
    far.on('data', (chunk) => {
      const text = before + chunk.toString('latin1')
      scan(text, before.length)
      before = text.slice(-OVERLAP)
      if (!near.destroyed) near.write(chunk)
    })
    near.on('data', (chunk) => {
      if (!far.destroyed) far.write(chunk)
    })
    const end = (): void => {
      pairs.delete(near)
      near.destroy()
      far.destroy()
    }
    for (const socket of [near, far]) socket.on('error', end).on('close', end)
    if (isPaused) far.pause()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const own = String((server.address() as AddressInfo).port)
  const through = (url: string): string => url.replace(`:${port}`, `:${own}`)
  const cut = (): void => {
    for (const [near, far] of pairs) {
      near.destroy()
      far.destroy()
    }
  }
  return {
    line: {
      ...board,
      http: through(board.http),
      ws: through(board.ws),
      socketio: through(board.socketio),
      poll: through(board.poll),
    },
    pause() {
      isPaused = true
      for (const far of pairs.values()) far.pause()
    },
    resume() {
      isPaused = false
      for (const far of pairs.values()) far.resume()
    },
    cut,
    async stop() {
      cut()
      server.close()
      await once(server, 'close')
    },
  }
}
