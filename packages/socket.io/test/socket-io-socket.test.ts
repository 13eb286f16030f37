import type { TransportSocket } from '@rtapi/core'
import { settle } from '@rtapi/testing'
import type { Socket } from 'socket.io'
import { describe, expect, test } from 'vitest'
import { connect } from './client.ts'
import { serve, until } from './harness.ts'
import { RawSocket, frame, opcodes } from './raw-client.ts'

/** What the server said last: the event that carries a frame, taken apart. */
function lastFrame(client: RawSocket): unknown {
  const event = client.texts.filter((text) => text.startsWith('42')).at(-1) ?? expect.fail('there is none')
  return JSON.parse((JSON.parse(event.slice(2)) as [string, string])[1])
}

describe('the largest frame', () => {
  test.each<[string, string, boolean]>([
    ['of ASCII', 'x'.repeat(1_024), true],
    ['of ASCII, one more', 'x'.repeat(1_025), false],
    ['of two bytes a character', 'ä'.repeat(512), true],
    ['of two bytes a character, one more', `${'ä'.repeat(512)}x`, false],
    ['of quotes', '"'.repeat(1_024), true],
    ['of quotes, one more', '"'.repeat(1_025), false],
  ])('%s', async (_name, data, isTaken) => {
    const { port, api } = await serve({ api: { limits: { frame: 1_024 } } })
    const client = await connect(port)
    client.send(data)
    const link = await api.link(0)
    if (isTaken) await link.untilReceived(1)
    else expect(await client.closed).toMatchObject({ code: 4413, reason: 'frame too big', again: false })
    expect([link.received, link.closings]).toEqual(
      isTaken ? [[data], []] : [[], [{ code: 4413, reason: 'frame too big' }]],
    )
  })
})

describe('closing', () => {
  test('says goodbye with the code, unless that was said already', async () => {
    const { port, api } = await serve()
    const [one, two] = [await RawSocket.join(port), await RawSocket.join(port)]
    const [first, second] = [await api.link(0), await api.link(1)]
    first.socket.close(4450, 'reading too slowly')
    await one.untilText('41')
    expect(lastFrame(one)).toEqual({ type: 'goodbye', code: 4450, reason: 'reading too slowly', again: true })
    second.send({ type: 'goodbye', code: 4440, reason: 'revoked', again: false })
    second.socket.close(4440, 'revoked')
    await two.untilText('41')
    expect(two.texts.filter((text) => text.startsWith('42'))).toHaveLength(1)
    expect(await first.untilClosed()).toEqual({ code: 4450, reason: 'reading too slowly' })
  })

  test.each<[string, (client: RawSocket) => void, { code: number; reason: string }]>([
    [
      'a client that leaves the namespace',
      (client) => client.text('41'),
      { code: 1000, reason: 'client namespace disconnect' },
    ],
    [
      'a client that ends the connection',
      (client) => client.write(frame({ opcode: opcodes.close })),
      { code: 1006, reason: 'transport close' },
    ],
    ['a link that is cut', (client) => void client.raw.resetAndDestroy(), { code: 1006, reason: 'transport close' }],
    ['a client that breaks the protocol', (client) => client.text('x'), { code: 1006, reason: 'parse error' }],
  ])('%s is told', async (_name, act, told) => {
    const { port, api } = await serve()
    const client = await RawSocket.join(port)
    const link = await api.link(0)
    act(client)
    const { code, reason } = await link.untilClosed()
    expect(code).toBe(told.code)
    expect([told.reason, 'transport error']).toContain(reason)
    await settle()
    expect(link.closings).toHaveLength(1)
  })

  test('whoever closes is not called back while it does', async () => {
    const { port, api } = await serve()
    await RawSocket.join(port)
    const link = await api.link(0)
    link.socket.close(4440, 'revoked')
    expect(link.closings).toEqual([])
    await link.untilClosed()
  })

  test('an application that disconnects the socket, or the whole connection', async () => {
    const { port, api, io } = await serve()
    const [one, two] = [await RawSocket.join(port), await RawSocket.join(port)]
    const [first, second] = [...io.of('/').sockets.values()] as [Socket, Socket]
    first.disconnect()
    second.disconnect(true)
    await Promise.all([one.closeCode(), two.closeCode()])
    for (const link of api.links)
      expect(await link.untilClosed()).toEqual({ code: 1006, reason: 'server namespace disconnect' })
  })

  test('a frame that is received in the same tick as the close is not told', async () => {
    const { port, api } = await serve({ api: { onReceive: ({ socket }) => socket.close(4429, 'too many') } })
    const client = await RawSocket.join(port)
    for (let i = 0; i < 5; i++) client.text(`42["rtapi","${i}"]`)
    await client.closeCode()
    expect((await api.link(0)).received).toEqual(['0'])
  })

  test('within a send of many, everything before it comes and nothing behind it', async () => {
    const { port, api } = await serve()
    const client = await connect(port)
    const { socket } = await api.link(0)
    for (let i = 0; i < 100; i++) {
      socket.send({ data: `frame ${i}` })
      if (i === 50) socket.close(4440, 'revoked')
    }
    expect(await client.closed).toMatchObject({ code: 4440 })
    expect(client.received).toEqual(Array.from({ length: 51 }, (_, i) => `frame ${i}`))
    expect(socket.bufferedAmount).toBe(0)
  })

  test('a client that does not read gets the goodbye when it does, and its connection then ends', async () => {
    const { port, api, io } = await serve()
    const client = await RawSocket.join(port)
    const link = await api.link(0)
    client.raw.pause()
    await fill(link.socket)
    link.socket.close(4450, 'reading too slowly')
    expect(await link.untilClosed()).toMatchObject({ code: 4450 })
    expect(io.engine.clientsCount).toBe(1)
    client.raw.resume()
    expect(await client.closeCode()).toBe(1005)
    expect(lastFrame(client)).toMatchObject({ type: 'goodbye', code: 4450 })
    await until('the connection to be gone', () => io.engine.clientsCount === 0)
  })
})

/** Sends until the system takes no more. */
async function fill(socket: TransportSocket): Promise<void> {
  for (let sent = 0; sent < 64 && socket.bufferedAmount < 1_048_576; sent++) {
    socket.send({ data: JSON.stringify('x'.repeat(1_048_576)) })
    await settle()
  }
}
