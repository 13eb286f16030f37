import type { Api } from '@rtapi/core'
import { type TransportSubject, transportSuite } from '@rtapi/testing'
import type { ServerOptions } from 'socket.io'
import { describe, test } from 'vitest'
import { connect } from './client.ts'
import { listen } from './server.ts'

/** Serves the API on a socket.io server whose clients come by the one way or the other. */
function serving(transport: 'websocket' | 'polling', io: Partial<ServerOptions> = {}) {
  return async (api: Api): Promise<TransportSubject> => {
    const server = await listen({ api, io })
    return {
      origin: `http://127.0.0.1:${server.port}`,
      connect: (options) => connect(server.port, { transport, ...options }),
      close: () => server.service.close(),
      async dispose() {
        await server.io.close()
        server.stop()
      },
    }
  }
}

describe.each(['websocket', 'polling'] as const)('the socket.io transport is a transport, over %s', (transport) => {
  const factory = { name: 'socket.io', serve: serving(transport), binary: true, origins: true } as const
  for (const { name, run } of transportSuite(factory)) test(name, run)
})

describe('so it is where a server insists on compression, and no ready frames can be written', () => {
  const compressed = serving('websocket', { perMessageDeflate: true })
  const serve = (api: Api): Promise<TransportSubject> => compressed({ ...api, report: () => undefined })
  const factory = { name: 'socket.io', serve, binary: true, origins: true } as const
  for (const { name, run } of transportSuite(factory)) test(name, run)
})
