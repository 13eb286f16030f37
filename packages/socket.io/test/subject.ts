import type { Api } from '@rtapi/core'
import type { TransportSubject } from '@rtapi/testing'
import type { ServerOptions } from 'socket.io'
import { connect } from './client.ts'
import { listen } from './server.ts'

/** Serves the API on a socket.io server whose clients come by the one way or the other. */
export function serving(transport: 'websocket' | 'polling', io: Partial<ServerOptions> = {}) {
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
