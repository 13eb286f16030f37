// Prints what each transport costs on this machine, client and server as processes of their own:
// `node --expose-gc --conditions=rtapi-source packages/client/scripts/transport-costs.ts`.
// Round trip: from a request to its reply. Delay: from a write to the view that shows it. Bytes: both ways, with all that
// HTTP, WebSocket and socket.io add, without TCP. Memory: what the server's process grows by for each client.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { type Server, createServer } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import { allowAny, createApi, defineResource, memoryStore } from '@rtapi/core'
import { httpHandler, toNodeListener } from '@rtapi/long-polling'
import { serveSocketIo, socketIoOptions } from '@rtapi/socket.io'
import { serveWebSocket } from '@rtapi/ws'
import { Server as SocketIoServer } from 'socket.io'
import { io } from 'socket.io-client'
import {
  createClient,
  eventStreamTransport,
  longPollingTransport,
  socketIoTransport,
  webSocketTransport,
} from '../src/index.ts'

const transports = {
  ws: () => webSocketTransport(),
  'socket.io': () => socketIoTransport(io, { options: { transports: ['websocket'] } }),
  'event-stream': () => eventStreamTransport(),
  'long-polling': () => longPollingTransport(),
} as const
type Name = keyof typeof transports

const CLIENTS = 500
const TIMES = 500

/** What the process of the clients is told to do, and what it answers. */
interface Order {
  readonly run: 'connect' | 'requests' | 'watch'
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0
}

async function clients(name: Name, url: string): Promise<void> {
  const all = Array.from({ length: CLIENTS + 1 }, () => createClient({ url, transport: transports[name]() }))
  const [first, ...others] = all
  if (first === undefined) return
  const view = first.resource('items').live()
  await view.ready
  process.on('message', ({ run }: Order) => {
    void (async () => {
      if (run === 'connect') {
        for (const client of others) await client.resource('items').live().ready
        process.send?.({ done: true })
      } else if (run === 'requests') {
        const times: number[] = []
        for (let i = 0; i < TIMES; i++) {
          const from = performance.now()
          await first.resource('items').list()
          times.push(performance.now() - from)
        }
        process.send?.({ roundTrip: median(times) })
      } else view.subscribe((rows) => void process.send?.({ shown: rows.length }))
    })()
  })
  process.send?.({ ready: true })
}

/** What comes next from the clients. */
async function told(child: ChildProcess): Promise<Readonly<Record<string, number>>> {
  const [message] = (await once(child, 'message')) as [Readonly<Record<string, number>>]
  return message
}

function memory(): number {
  for (let i = 0; i < 5; i++) globalThis.gc?.()
  return process.memoryUsage().rss
}

/** Bytes that have gone over all connections of a server. */
function countBytes(server: Server): () => number {
  const sockets: Socket[] = []
  server.on('connection', (socket) => sockets.push(socket))
  return () => sockets.reduce((sum, { bytesRead, bytesWritten }) => sum + bytesRead + bytesWritten, 0)
}

async function measure(name: Name): Promise<string> {
  const store = memoryStore<{ id: number; text: string }>({ entity: 'Item', fields: { id: 'integer', text: 'string' } })
  const api = createApi({
    resources: [defineResource('items', { store, permissions: [allowAny] })],
    changes: [store],
    limits: { rate: 1e6, burst: 1e6 },
  })
  const listener = toNodeListener(httpHandler(api, { acceptRate: 1e6, maxSessions: 1e6 }))
  const server = createServer((request, response) => {
    if (request.url?.startsWith('/socket.io') !== true) listener(request, response)
  })
  const bytes = countBytes(server)
  serveWebSocket(api, server, { acceptRate: 1e6 })
  const socketIo = new SocketIoServer(server, { ...socketIoOptions(api), destroyUpgrade: false })
  serveSocketIo(api, socketIo, { acceptRate: 1e6 })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/rt`
  const child = fork(fileURLToPath(import.meta.url), [name, url])
  await told(child)

  child.send({ run: 'requests' } satisfies Order)
  const bytesBefore = bytes()
  const { roundTrip = 0 } = await told(child)
  const perRequest = (bytes() - bytesBefore) / TIMES

  child.send({ run: 'watch' } satisfies Order)
  await told(child)
  const delays: number[] = []
  const bytesThen = bytes()
  for (let i = 0; i < TIMES; i++) {
    const from = performance.now()
    const shown = told(child)
    store.create({ text: 'x' })
    await shown
    delays.push(performance.now() - from)
  }
  const perChange = (bytes() - bytesThen) / TIMES

  for (const { id } of store.find()) store.delete(id)
  const before = memory()
  child.send({ run: 'connect' } satisfies Order)
  for (;;) if ('done' in (await told(child))) break
  const perClient = (memory() - before) / CLIENTS
  child.kill()
  await once(child, 'exit')
  server.close()
  server.closeAllConnections()
  await socketIo.close()
  await api.close()
  const columns = [roundTrip.toFixed(2), median(delays).toFixed(2), perRequest.toFixed(0), perChange.toFixed(0)]
  return `${name.padEnd(14)}${columns.map((text) => text.padStart(12)).join('')}${(perClient / 1024).toFixed(0).padStart(12)}\n`
}

const [name, url] = process.argv.slice(2)
if (name !== undefined && url !== undefined) await clients(name as Name, url)
else {
  const heads = ['round trip', 'delay', 'B/request', 'B/change', 'KiB/client']
  process.stdout.write(`${''.padEnd(14)}${heads.map((text) => text.padStart(12)).join('')}\n`)
  for (const each of Object.keys(transports) as Name[]) {
    if (url === undefined && name !== undefined && each !== name) continue
    process.stdout.write(await measure(each))
  }
  process.exit()
}
