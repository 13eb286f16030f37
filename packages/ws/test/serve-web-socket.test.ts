import { once } from 'node:events'
import { describe, expect, test } from 'vitest'
import { serve } from './harness.ts'
import { RawClient, buildFrame, closePayload, opcodes } from './raw-client.ts'

describe('close', () => {
  test('says goodbye to everybody, waits for what was sent, and lets nobody in any more', async () => {
    const { open, service, port, server } = await serve()
    const clients = [await open(), await open()]
    for (const { accepted } of clients) accepted.socket.send({ data: 'last words' })
    const closed = service.close()
    const refused = await RawClient.open(port)
    expect(refused.answer.status).toBe(503)
    expect(refused.answer.headers).toHaveProperty('retry-after')
    for (const { client, accepted } of clients) {
      expect(await client.nextText()).toBe('last words')
      const goodbye = JSON.parse(await client.nextText()) as { after: number }
      expect(goodbye).toMatchObject({ type: 'goodbye', code: 4452, again: true })
      expect(goodbye.after).toBeLessThan(5_000)
      expect(await client.closeFrame()).toEqual({ code: 4452, reason: 'draining' })
      client.write(buildFrame({ opcode: opcodes.close, payload: closePayload(4452) }))
      expect(await accepted.heard.next()).toMatchObject({ type: 'closed', code: 4452 })
    }
    await closed
    expect(server.listenerCount('upgrade')).toBe(0)
    await service.close()
  })

  test('a client that the API has already said goodbye to hears no second one', async () => {
    const { open, service } = await serve()
    const { client, accepted } = await open()
    accepted.socket.close(4440, 'revoked')
    const closed = service.close()
    expect(await client.closeFrame()).toEqual({ code: 4440, reason: 'revoked' })
    client.socket.destroy()
    await closed
    expect(client.frames.length).toBe(0)
  })

  test('ends whoever has not gone in time', async () => {
    const { open, service, api } = await serve()
    const { client, accepted } = await open()
    client.socket.pause()
    const closed = service.close({ timeout: 1_000 })
    await api.clock.advance(999)
    expect(accepted.heard.length).toBe(0)
    await api.clock.advance(1)
    expect(await accepted.heard.next()).toMatchObject({ type: 'closed', code: 4452 })
    await closed
    expect(api.clock.timers).toBe(0)
  })

  test('without clients it is done at once', async () => {
    const { service, api } = await serve()
    await service.close()
    expect(api.clock.timers).toBe(0)
  })
})

test("Node's own WebSocket connects, exchanges frames and closes", async () => {
  const { port, api } = await serve()
  const socket = new WebSocket(`ws://127.0.0.1:${port}/rt`, ['rtapi.v1.msgpack', 'rtapi.v1.json'])
  const accepted = await api.clients.next()
  await once(socket, 'open')
  expect(socket.protocol).toBe('rtapi.v1.json')

  socket.send('to the server')
  expect(await accepted.heard.next()).toEqual({ type: 'received', data: 'to the server' })
  const received = once(socket, 'message') as Promise<[MessageEvent]>
  accepted.socket.send({ data: 'to the client' })
  expect((await received)[0].data).toBe('to the client')

  const ended = once(socket, 'close') as Promise<[CloseEvent]>
  socket.close(4000, 'done')
  expect(await accepted.heard.next()).toEqual({ type: 'closed', code: 4000, reason: 'done' })
  expect((await ended)[0]).toMatchObject({ code: 4000, wasClean: true })
})

test('the socket of a client has an id of its own', async () => {
  const { open } = await serve()
  const [one, two] = [await open(), await open()]
  expect(one.accepted.socket.id).not.toBe(two.accepted.socket.id)
})
