import type { Socket } from 'node:net'
import type { TransportSocket } from '@rtapi/core'
import { expect, test } from 'vitest'
import { FakeApi } from './fake-api.ts'
import { serve } from './harness.ts'
import { buildFrame, closePayload, opcodes, text } from './raw-client.ts'

const MEGABYTE = 1_048_576
const ping = buildFrame({ opcode: opcodes.ping })

test('sends frames in order, and those of one tick in one write', async () => {
  const { open, server } = await serve()
  const writes: (string | Uint8Array)[] = []
  server.on('connection', (socket: Socket) => recordWrites(socket, writes))
  const { client, accepted } = await open()
  writes.length = 0
  for (const data of ['a', 'b', 'c']) accepted.socket.send({ data })
  expect(writes, 'nothing is written before the tick ends').toEqual([])
  expect([await client.nextText(), await client.nextText(), await client.nextText()]).toEqual(['a', 'b', 'c'])
  expect(writes).toHaveLength(1)
})

test('a frame for many clients is framed once, and the sockets that got the same are given one buffer', async () => {
  const { open, server } = await serve()
  const buffers: (string | Uint8Array)[] = []
  server.on('connection', (socket: Socket) => recordWrites(socket, buffers))
  const both = [await open(), await open()]
  buffers.length = 0
  const frames = [{ data: 'first' }, { data: 'second' }]
  for (const frame of frames) for (const { accepted } of both) accepted.socket.send(frame)
  for (const { client } of both) expect([await client.nextText(), await client.nextText()]).toEqual(['first', 'second'])
  expect(buffers).toHaveLength(2)
  expect(buffers[0]).toBe(buffers[1])
})

test('counts what waits for the end of the tick as buffered', async () => {
  const { client, accepted } = await (await serve()).open()
  accepted.socket.send({ data: 'x'.repeat(98) })
  expect(accepted.socket.bufferedAmount).toBe(100)
  await client.nextText()
  expect(accepted.socket.bufferedAmount).toBe(0)
})

test('frames may be sent from inside accept', async () => {
  const api = new FakeApi()
  api.onAccept = ({ socket }) => socket.send({ data: 'at once' })
  const { client } = await (await serve({}, api)).open()
  expect(await client.nextText()).toBe('at once')
})

test('close sends what was given before, then closes; what comes after it is dropped', async () => {
  const { client, accepted } = await (await serve()).open()
  accepted.socket.send({ data: 'last' })
  accepted.socket.close(4440, 'revoked')
  accepted.socket.close(4500, 'twice')
  accepted.socket.send({ data: 'too late' })
  expect(await client.nextText()).toBe('last')
  expect(await client.closeFrame()).toEqual({ code: 4440, reason: 'revoked' })
  client.write(buildFrame({ opcode: opcodes.close, payload: closePayload(4440) }))
  await client.ended
  expect(await accepted.heard.next()).toEqual({ type: 'closed', code: 4440, reason: 'revoked' })
  expect(accepted.heard.length).toBe(0)
})

test('a client that does not answer the close frame is told apart from nobody: closed comes once, with our code', async () => {
  const { client, accepted } = await (await serve()).open()
  accepted.socket.close(4440, 'revoked')
  await client.closeFrame()
  client.socket.destroy()
  expect(await accepted.heard.next()).toEqual({ type: 'closed', code: 4440, reason: 'revoked' })
  expect(accepted.heard.length).toBe(0)
})

test('a link that is cut is closed with 1006, and sending to it does nothing', async () => {
  const { client, accepted } = await (await serve()).open()
  client.socket.resetAndDestroy()
  expect(await accepted.heard.next()).toEqual({ type: 'closed', code: 1006, reason: '' })
  accepted.socket.send({ data: 'x' })
  accepted.socket.close(4440, 'revoked')
  expect(accepted.socket.bufferedAmount).toBe(0)
  expect(accepted.heard.length).toBe(0)
})

test('nothing follows the answer to a close frame of the client', async () => {
  const { client, accepted } = await (await serve()).open()
  client.write(buildFrame({ opcode: opcodes.close, payload: closePayload(1001, 'away') }))
  expect(await accepted.heard.next()).toEqual({ type: 'closed', code: 1001, reason: 'away' })
  accepted.socket.send({ data: 'x' })
  expect(await client.closeFrame()).toEqual({ code: 1001, reason: 'away' })
  await client.ended
  expect(client.frames.length).toBe(0)
})

test('a missed heartbeat ends the link without waiting for an answer', async () => {
  const { client, accepted } = await (await serve()).open()
  client.socket.pause()
  accepted.socket.close(4454, 'heartbeat missed')
  expect(await accepted.heard.next()).toMatchObject({ type: 'closed', code: 4454 })
})

test('a reader that stops is seen in bufferedAmount, and drained tells when it reads again', async () => {
  const { client, accepted } = await (await serve()).open()
  client.socket.pause()
  // The kernel's own buffers take some megabytes before anything waits here.
  const sent = await fill(accepted.socket)
  expect(accepted.heard.length).toBe(0)
  client.socket.resume()
  expect(await accepted.heard.next()).toEqual({ type: 'drained' })
  expect(accepted.socket.bufferedAmount).toBe(0)
  for (let i = 0; i < sent; i++) expect(await client.nextText()).toHaveLength(MEGABYTE)
})

test('drained comes for a small backlog too', async () => {
  const { client, accepted } = await (await serve()).open()
  client.socket.pause()
  await fill(accepted.socket, 10_000)
  client.socket.resume()
  expect(await accepted.heard.next()).toEqual({ type: 'drained' })
})

test('one reader that stops does not hold up another', async () => {
  const { open } = await serve()
  const [slow, quick] = [await open(), await open()]
  slow.client.socket.pause()
  await fill(slow.accepted.socket)
  const frame = { data: 'to both' }
  slow.accepted.socket.send(frame)
  quick.accepted.socket.send(frame)
  expect(await quick.client.nextText()).toBe('to both')
  expect(slow.accepted.socket.bufferedAmount).toBeGreaterThan(MEGABYTE / 2)
})

test('pings to a server whose pongs nobody reads do not pile up', async () => {
  const api = new FakeApi({ limits: { burst: 1_000_000 } })
  const { client, accepted } = await (await serve({}, api)).open()
  client.socket.pause()
  await fill(accepted.socket)
  const before = accepted.socket.bufferedAmount
  for (let i = 0; i < 1_000; i++) client.write(ping)
  client.write(text('end'))
  expect(await accepted.heard.next()).toMatchObject({ data: 'end' })
  expect(accepted.socket.bufferedAmount).toBe(before)
})

test('more control frames than the burst within ten seconds close with 4429', async () => {
  const { open, api } = await serve({}, new FakeApi({ limits: { burst: 5 } }))
  const { client, accepted } = await open()
  client.write(...Array.from({ length: 5 }, () => ping), text('a'))
  expect(await accepted.heard.next()).toMatchObject({ data: 'a' })
  await api.clock.advance(10_001)
  client.write(...Array.from({ length: 5 }, () => buildFrame({ opcode: opcodes.pong })), text('b'))
  expect(await accepted.heard.next()).toMatchObject({ data: 'b' })
  client.write(ping, text('c'))
  expect(JSON.parse(await client.nextText())).toMatchObject({ type: 'goodbye', code: 4429, again: false })
  expect(await client.closeFrame()).toEqual({ code: 4429, reason: 'too many pings' })
  client.socket.destroy()
  expect(await accepted.heard.next(), 'what came after it is not delivered').toMatchObject({
    type: 'closed',
    code: 4429,
  })
})

test('a frame that is not finished within two checks closes the connection', async () => {
  const { open, api } = await serve()
  const [slow, idle, busy] = [await open(), await open(), await open()]
  const partOf = async ({ client, accepted }: typeof slow, bytes: Buffer): Promise<void> => {
    // Something whole first, so that what is seen of the frame after it is known to have been read.
    client.write(text('whole'))
    expect(await accepted.heard.next()).toMatchObject({ data: 'whole' })
    const { client: other, accepted: witness } = idle
    client.write(bytes)
    other.write(text('fence'))
    expect(await witness.heard.next()).toMatchObject({ data: 'fence' })
  }
  await partOf(slow, text('never finished').subarray(0, 8))
  await api.clock.advance(5_000)
  expect(slow.accepted.heard.length).toBe(0)
  await partOf(busy, text('begun').subarray(0, 8))
  slow.client.write(Buffer.from('x'))
  await api.clock.advance(5_000)
  expect(await slow.client.closeFrame()).toEqual({ code: 4400, reason: 'frame not finished in time' })
  busy.client.write(text('begun').subarray(8))
  expect(await busy.accepted.heard.next()).toEqual({ type: 'received', data: 'begun' })
  await api.clock.advance(5_000)
  busy.client.write(text('still there'))
  expect(await busy.accepted.heard.next()).toMatchObject({ data: 'still there' })
})

test('the timer of the checks runs only while there are clients', async () => {
  const { open, api } = await serve()
  expect(api.clock.timers).toBe(0)
  const { client, accepted } = await open()
  expect(api.clock.timers).toBe(1)
  await api.clock.advance(5_000)
  expect(api.clock.timers).toBe(1)
  client.socket.destroy()
  await accepted.heard.next()
  expect(api.clock.timers).toBe(0)
})

/** Sends until more than `least` bytes wait in the process; answers how many frames of a megabyte that took. */
async function fill(socket: TransportSocket, least = MEGABYTE): Promise<number> {
  const data = 'x'.repeat(MEGABYTE)
  for (let sent = 1; sent <= 64; sent++) {
    socket.send({ data })
    await new Promise((resolve) => setImmediate(resolve))
    if (socket.bufferedAmount > least) return sent
  }
  throw new Error('64 MB were taken by nobody who reads')
}

/** Notes what is written to a socket. */
function recordWrites(socket: Socket, written: (string | Uint8Array)[]): void {
  const write = socket.write.bind(socket)
  socket.write = (chunk: string | Uint8Array, ...rest: never[]): boolean => {
    written.push(chunk)
    return write(chunk, ...rest)
  }
}
