/** rtapi with its WebSocket transport. */
import { createServer } from 'node:http'
import { serveWebSocket } from '@rtapi/ws'
import { type ItemApi, serveItems } from './serve-items.ts'
import { listen, serveTarget } from './serve-target.ts'

let items: ItemApi | undefined

serveTarget({
  async start(workload, shared) {
    items = await serveItems(workload, shared)
    const http = createServer()
    serveWebSocket(items.api, http, { acceptRate: Infinity })
    return { port: await listen(http), path: '/rt', protocol: 'rtapi.v1.json' }
  },
  change: (keys, at) => items?.change(keys, at),
})
