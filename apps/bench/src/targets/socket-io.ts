/**
 * socket.io as its users write it: a room for each record or one for all, an event for each change, acknowledgements as
 * replies. Of several processes, its Redis adapter carries the events.
 */
import { createServer } from 'node:http'
import { createAdapter } from '@socket.io/redis-adapter'
import { createClient } from 'redis'
import { Server } from 'socket.io'
import type { Subscription } from '../load/dialect.ts'
import { type Item, type Workload, makeItem } from '../workload.ts'
import { listen, serveTarget } from './serve-target.ts'

interface ClientEvents {
  follow(subscription: Subscription, done: (answer: { following: 1 }) => void): void
  get(key: number, done: (answer: { ok: true; item: Item | undefined }) => void): void
  update(key: number, patch: object, done: (answer: { ok: true; item: Item | undefined }) => void): void
}

interface ServerEvents {
  change(change: { action: 'update'; key: number; data: Item }): void
}

class ItemServer {
  private readonly io: Server<ClientEvents, ServerEvents>
  private readonly items = new Map<number, Item>()
  private readonly hasRooms: boolean

  constructor(io: Server<ClientEvents, ServerEvents>, { records, following }: Workload) {
    this.io = io
    for (let id = 1; id <= records; id++) this.items.set(id, makeItem(id))
    this.hasRooms = following.type === 'records'
    io.on('connection', (socket) => {
      socket.on('follow', (subscription, done) => {
        void socket.join(subscription.type === 'record' ? roomOf(subscription.key) : 'items')
        done({ following: 1 })
      })
      socket.on('get', (key, done) => done({ ok: true, item: this.items.get(key) }))
      socket.on('update', (key, patch, done) => done({ ok: true, item: this.change(key, patch) }))
    })
  }

  change(key: number, patch: object): Item | undefined {
    const before = this.items.get(key)
    if (before === undefined) return undefined
    const data = { ...before, revision: before.revision + 1, ...patch }
    this.items.set(key, data)
    this.io.to(this.hasRooms ? roomOf(key) : 'items').emit('change', { action: 'update', key, data })
    return data
  }
}

function roomOf(key: number): string {
  return `item:${key}`
}

let server: ItemServer | undefined

serveTarget({
  async start(workload, shared) {
    const http = createServer()
    const io = new Server<ClientEvents, ServerEvents>(http)
    if (shared !== null) {
      const clients = [createClient({ url: shared.redis }), createClient({ url: shared.redis })] as const
      await Promise.all(clients.map((client) => client.connect()))
      io.adapter(createAdapter(...clients))
    }
    server = new ItemServer(io, workload)
    return { port: await listen(http), path: '/socket.io/?EIO=4&transport=websocket' }
  },
  change(keys, at) {
    for (const key of keys) server?.change(key, { at })
  },
})
