import type { Api } from '@rtapi/core'
import { type RawLink, type TransportSubject, transportSuite } from '@rtapi/testing'
import { describe, test } from 'vitest'
import { TestSocket } from '../src/test-socket.ts'

/** Serves an API to links in memory, as the test client uses them. */
function serve(api: Api): TransportSubject {
  const sockets = new Set<TestSocket>()
  let ended = false
  return {
    origin: 'memory:',
    connect(options): Promise<RawLink> {
      const codec = api.codecs.find(({ name }) => name === (options?.codec ?? api.codecs[0]?.name))
      if (ended || codec === undefined) return Promise.reject(new Error('refused'))
      const received: (string | Uint8Array)[] = []
      let onEnd = (): void => {}
      const closed = new Promise<void>((resolve) => (onEnd = resolve))
      const socket = new TestSocket(api.limits.frame, {
        read: (data) => void received.push(data),
        closed: () => onEnd(),
      })
      sockets.add(socket)
      const handshake = { transport: 'test', url: '/', headers: options?.headers ?? {}, remoteAddress: '::1' }
      socket.attach(api.accept(socket, handshake, codec))
      return Promise.resolve({
        received,
        closed: closed.then(() => socket.closing ?? { code: 1006, reason: '' }),
        send: (data) => socket.receive(data),
        close: () => socket.closeByClient(1000, ''),
        abort: () => socket.closeByClient(1006, ''),
        pause: () => socket.pause(),
        resume: () => socket.resume(),
      })
    },
    close() {
      ended = true
      for (const socket of sockets) socket.close(4452, 'draining')
    },
  }
}

const cases = transportSuite({ name: 'test', serve, binary: true, origins: { not: 'there are no pages in memory' } })

describe('the transport of the test client is a transport', () => {
  for (const { name, run } of cases) test(name, run)
})
