import { once } from 'node:events'
import { type AddressInfo, type Socket, connect, createServer } from 'node:net'

/** A way to a server that can be disturbed. */
export interface TcpProxy {
  readonly url: string
  /** How many bytes have been held back or thrown away by `mute`. */
  readonly swallowed: number
  /** Ends all connections and refuses new ones. */
  cut(): void
  /** Connections stay open, new ones too, and nothing comes through: as when a cable is pulled. */
  mute(): void
  /** Nothing more is taken from the server over the connections that are there; new ones work. */
  stall(): void
  /** What has come meanwhile is taken, and an end if there was one. */
  unstall(): void
  /** Everything passes again, over the same connections; what was muted stays lost. */
  unmute(): void
  /** Everything passes again, over new connections. */
  heal(): void
  stop(): Promise<void>
}

/** Forwards to a port of this machine. */
export async function tcpProxy(port: number): Promise<TcpProxy> {
  const pairs = new Map<Socket, Socket>()
  let state: 'open' | 'cut' | 'mute' = 'open'
  let swallowed = 0

  const pass = (from: Socket, to: Socket): void => {
    from.on('data', (data) => {
      if (state === 'mute') swallowed += data.length
      else to.write(data)
    })
    from.on('error', () => {})
    from.on('close', () => {
      to.destroy()
      pairs.delete(from)
    })
  }
  const server = createServer((near) => {
    if (state === 'cut') {
      near.destroy()
      return
    }
    const far = connect(port, '127.0.0.1')
    pairs.set(near, far)
    pass(near, far)
    pass(far, near)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')

  function endAll(): void {
    for (const [near, far] of pairs) {
      near.destroy()
      far.destroy()
    }
  }
  return {
    url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get swallowed() {
      return swallowed
    },
    cut() {
      state = 'cut'
      endAll()
    },
    mute: () => void (state = 'mute'),
    stall() {
      for (const far of pairs.values()) far.pause()
    },
    unstall() {
      for (const far of pairs.values()) far.resume()
    },
    unmute: () => void (state = 'open'),
    heal() {
      endAll()
      state = 'open'
    },
    async stop() {
      endAll()
      server.close()
      await once(server, 'close')
    },
  }
}
