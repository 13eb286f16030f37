/** rtapi with its socket.io transport, on a server of socket.io with the options that it advises. */
import { createServer } from 'node:http'
import { serveSocketIo, socketIoOptions } from '@rtapi/socket.io'
import { Server } from 'socket.io'
import { type ItemApi, serveItems } from './serve-items.ts'
import { listen, serveTarget } from './serve-target.ts'

let items: ItemApi | undefined

serveTarget({
  async start(workload, shared) {
    items = await serveItems(workload, shared)
    const http = createServer()
    serveSocketIo(items.api, new Server(http, socketIoOptions(items.api)), { acceptRate: Infinity })
    return { port: await listen(http), path: '/socket.io/?EIO=4&transport=websocket' }
  },
  change: (keys, at) => items?.change(keys, at),
})
