import { createServer } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { createApi, allowAny, defineResource, memoryStore } from '@rtapi/core'
import { serveWebSocket } from '@rtapi/ws'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { WebSocket as WsWebSocket } from 'ws'
import { type LiveView, createClient, webSocketTransport } from '../src/index.ts'

type Item = { id: number; text: string }

/** An API on real sockets. */
async function serve() {
  const store = memoryStore<Item>({ entity: 'Item', fields: { id: 'integer', text: 'string' } })
  const items = defineResource('items', { store, input: { create: ['text'] }, permissions: [allowAny] })
  const api = createApi({ resources: [items], changes: [store] })
  const server = createServer()
  const service = serveWebSocket(api, server)
  const sockets = new Set<Socket>()
  server.on('connection', (socket) => sockets.add(socket))
  const cut = (): void => {
    for (const socket of sockets) socket.destroy()
  }
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  onTestFinished(async () => {
    await Promise.all([api.close(), service.close({ timeout: 100 })])
    cut()
    await new Promise((resolve) => server.close(resolve))
  })
  return { api, store, cut, port, url: `http://127.0.0.1:${port}/rt` }
}

/** Waits until a view shows these texts. */
async function until(view: LiveView<Item>, texts: readonly string[]): Promise<void> {
  const wanted = texts.join()
  for await (const rows of view) if (rows.map(({ text }) => text).join() === wanted) return
}

describe.each([
  ['the WebSocket of the platform', undefined],
  ['the ws package', WsWebSocket],
])('%s', (_, WebSocket) => {
  test('lists, follows, writes, and comes back after the link was cut', async () => {
    const { api, store, url, cut } = await serve()
    type Items = typeof api
    const client = createClient<Items>({
      url,
      limits: { backoffMinimum: 1 },
      ...(WebSocket === undefined ? {} : { WebSocket }),
    })
    onTestFinished(() => client.close())
    const view = client.items.live()
    await view.ready
    const { row } = await client.items.create({ text: 'a' })
    expect(row).toEqual({ id: 1, text: 'a' })
    expect(view.rows).toEqual([{ id: 1, text: 'a' }])
    store.create({ text: 'b' })
    await until(view, ['a', 'b'])
    cut()
    store.create({ text: 'c' })
    store.delete(1)
    await until(view, ['b', 'c'])
    expect(client.connection.getSnapshot()).toMatchObject({
      status: 'live',
      transport: 'ws',
      recovery: { resumed: 1, reset: 0 },
    })
  })

  test('a server that is not there is tried again until it is', async () => {
    const { api, port } = await serve()
    type Items = typeof api
    let attempts = 0
    const client = createClient<Items>({
      url: 'ws://127.0.0.1:1/rt',
      limits: { backoffMinimum: 1 },
      ...(WebSocket === undefined ? {} : { WebSocket }),
      transport: {
        name: 'moving',
        connect(request) {
          // The first attempts go where nobody listens.
          const url = attempts++ < 2 ? request.url : `ws://127.0.0.1:${port}/rt`
          return webSocketTransport({ WebSocket }).connect({ ...request, url })
        },
      },
    })
    onTestFinished(() => client.close())
    expect(await client.items.list()).toEqual({ rows: [], next: undefined })
    expect(attempts).toBe(3)
  })
})

test.each([
  ['/rt', 'https://page.example/app/', 'wss://page.example/rt'],
  ['rt?x=1', 'http://page.example:8080/app/', 'ws://page.example:8080/app/rt?x=1'],
  ['https://api.example/rt', 'http://page.example/', 'wss://api.example/rt'],
  ['ws://api.example/rt', 'https://page.example/', 'ws://api.example/rt'],
])('the address %s on the page %s is %s', (url, href, expected) => {
  vi.stubGlobal('location', { href })
  onTestFinished(() => void vi.unstubAllGlobals())
  const opened: string[] = []
  class Recorded {
    binaryType = ''
    constructor(address: string) {
      opened.push(address)
    }
    addEventListener(): void {}
    send(): void {}
    close(): void {}
  }
  const client = createClient({ url, WebSocket: Recorded })
  client.connect()
  client.close()
  expect(opened).toEqual([expected])
})

test('an address that is none is an error at once', async () => {
  const client = createClient({ url: 'no address' })
  await expect(client.resource('items').list()).rejects.toThrow("url 'no address': expected")
  expect(client.connection.status).toBe('closed')
})
