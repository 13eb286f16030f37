/**
 * Feathers with its socket.io transport: a service of items in memory, a channel for each record or one for all, joined
 * through a service. Of several processes, each publishes the events of its services over Redis and emits what comes from
 * there, as Feathers' documentation on scaling describes it.
 */
import type { Server as HttpServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Application, type FeathersService, type Params, feathers } from '@feathersjs/feathers'
import { koa } from '@feathersjs/koa'
import socketio from '@feathersjs/socketio'
import { createClient } from 'redis'
import type { Subscription } from '../load/dialect.ts'
import { type Item, makeItem } from '../workload.ts'
import { serveTarget } from './serve-target.ts'

class Items {
  private readonly items = new Map<number, Item>()

  constructor(records: number) {
    for (let id = 1; id <= records; id++) this.items.set(id, makeItem(id))
  }

  get(id: number): Promise<Item> {
    const item = this.items.get(id)
    return item === undefined ? Promise.reject(new Error('no such item')) : Promise.resolve(item)
  }

  async patch(id: number, patch: Partial<Item>): Promise<Item> {
    const before = await this.get(id)
    const item = { ...before, revision: before.revision + 1, ...patch }
    this.items.set(id, item)
    return item
  }
}

class Following {
  private readonly app: Application<Services>

  constructor(app: Application<Services>) {
    this.app = app
  }

  create(subscription: Subscription, { connection }: Params = {}): Promise<{ following: 1 }> {
    const channel = subscription.type === 'record' ? channelOf(subscription.key) : 'items'
    if (connection !== undefined) this.app.channel(channel).join(connection)
    return Promise.resolve({ following: 1 })
  }
}

interface Services {
  items: Items
  following: Following
}

function channelOf(key: number): string {
  return `items/${key}`
}

let app: Application<Services> | undefined

serveTarget({
  async start({ records, following }, shared) {
    const server = koa<Services>(feathers())
    app = server
    server.configure(socketio())
    server.use('items', new Items(records))
    server.use('following', new Following(server))
    server.service('following').publish(() => undefined)
    server
      .service('items')
      .publish((item: Item) => server.channel(following.type === 'records' ? channelOf(item.id) : 'items'))
    if (shared !== null) await joinOthers(server.service('items'), shared.redis)
    const http: HttpServer = await server.listen(0, '127.0.0.1')
    if (!http.listening) await new Promise((resolve) => http.once('listening', resolve))
    return { port: (http.address() as AddressInfo).port, path: '/socket.io/?EIO=4&transport=websocket' }
  },
  change(keys, at) {
    for (const key of keys) void app?.service('items').patch(key, { at })
  },
})

/** What is emitted here is emitted by all processes when it comes back from Redis. */
async function joinOthers(service: FeathersService<Application<Services>, Items>, url: string): Promise<void> {
  const [publisher, subscriber] = await Promise.all([createClient({ url }).connect(), createClient({ url }).connect()])
  const emitHere = service.emit.bind(service)
  service.emit = (event, data: unknown) => {
    void publisher.publish('items', JSON.stringify({ event, data }))
    return true
  }
  await subscriber.subscribe('items', (message) => {
    const { event, data } = JSON.parse(message) as { event: string; data: Item }
    emitHere(event, data)
  })
}
