import type { Api, Codec } from '@rtapi/core'
import type { RawConnect, RawLink, TransportSubject } from '@rtapi/testing'
import { TestSocket } from '../../src/test-socket.ts'

/** Serves an API to links in memory, as the test client uses them. */
export function serveInMemory(api: Api): TransportSubject {
  const sockets = new Set<TestSocket>()
  let ended = false
  return {
    origin: 'memory:',
    connect(options): Promise<RawLink> {
      const codec = api.codecs.find(({ name }) => name === (options?.codec ?? api.codecs[0]?.name))
      if (ended || codec === undefined) return Promise.reject(new Error('refused'))
      const { socket, link } = connect(api, codec, options)
      sockets.add(socket)
      return Promise.resolve(link)
    },
    close() {
      ended = true
      for (const socket of sockets) socket.close(4452, 'draining')
    },
  }
}

function connect(api: Api, codec: Codec, options: RawConnect = {}): { socket: TestSocket; link: RawLink } {
  const received: (string | Uint8Array)[] = []
  let onEnd = (): void => {}
  const ended = new Promise<void>((resolve) => (onEnd = resolve))
  const socket = new TestSocket(api.limits.frame, { read: (data) => void received.push(data), closed: () => onEnd() })
  const handshake = { transport: 'test', url: '/', headers: options.headers ?? {}, remoteAddress: '::1' }
  socket.attach(api.accept(socket, handshake, codec))
  const link: RawLink = {
    received,
    closed: ended.then(() => socket.closing ?? { code: 1006, reason: '' }),
    send: (data) => socket.receive(data),
    close: () => socket.closeByClient(1000, ''),
    abort: () => socket.closeByClient(1006, ''),
    pause: () => socket.pause(),
    resume: () => socket.resume(),
  }
  return { socket, link }
}
