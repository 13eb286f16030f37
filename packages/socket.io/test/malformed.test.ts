import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Served, serve } from './harness.ts'
import { RawPolling, RawSocket, frame, opcodes, poll } from './raw-client.ts'

// What socket.io and its parsers have once fallen over, sent to the configured server. Vitest fails on whatever nobody
// catches; that the process goes on serving is asked at the end of each case.

const failures: unknown[] = []
const note = (error: unknown): void => void failures.push(error)
beforeEach(() => {
  process.on('uncaughtException', note).on('unhandledRejection', note)
})
afterEach(() => {
  process.off('uncaughtException', note).off('unhandledRejection', note)
  expect(failures.splice(0)).toEqual([])
})

async function expectAlive({ port, api }: Served): Promise<void> {
  const index = api.links.length
  const witness = await RawSocket.join(port)
  witness.text('42["rtapi","still there"]')
  const link = await api.link(index)
  await link.untilReceived(1)
  expect(link.received).toEqual(['still there'])
  expect(api.reports).toEqual([])
}

describe('a connection is closed for', () => {
  test.each<[string, readonly string[]]>([
    ['an Engine.IO packet of no type', ['x']],
    ['an empty Engine.IO packet', ['']],
    ['a ping from the client', ['2']],
    ['a socket.io packet of no type', ['49']],
    ['an event that is no array', ['42{"rtapi":1}']],
    ['an event that is a text', ['42"rtapi"']],
    ['an event that is null', ['42null']],
    ['an event without a name', ['42[]']],
    ['an event named by an object', ['42[{"toString":1}]']],
    ['an event named like one of its own', ['42["disconnect"]']],
    ['an event named newListener', ['42["newListener","x"]']],
    ['JSON that breaks off', ['42["rtapi","x']],
    ['an acknowledgement that is no array', ['431{"a":1}']],
    ['thousands of attachments', ['451000-["rtapi",{"_placeholder":true,"num":0}]']],
    ['no attachments', ['450-["rtapi",{"_placeholder":true,"num":0}]']],
    ['half an attachment', ['451.5-["rtapi",{"_placeholder":true,"num":0}]']],
    ['attachments without end', ['45']],
    ['minus one attachments', ['45-1-["rtapi"]']],
    ['a text where bytes are due', ['451-["rtapi",{"_placeholder":true,"num":0}]', '42["rtapi","x"]']],
    ['a second attempt to join', ['40{}']],
    ['a refusal by the client', ['44{"message":"no"}']],
    ['an event in a namespace that it has not joined', ['42/other,["x"]']],
    ['auth that is an array', ['40/other,[1]']],
  ])('%s', async (_name, packets) => {
    const served = await serve()
    const client = await RawSocket.join(served.port)
    for (const packet of packets) client.text(packet)
    await client.closeCode()
    expect(await (await served.api.link(0)).untilClosed()).toMatchObject({ code: 1006 })
    expect((await served.api.link(0)).received).toEqual([])
    await expectAlive(served)
  })

  test('bytes where none are due', async () => {
    const served = await serve()
    const client = await RawSocket.join(served.port)
    client.write(frame({ opcode: opcodes.binary, payload: Buffer.from([1, 2, 3]) }))
    await client.closeCode()
    await expectAlive(served)
  })

  test('a placeholder that names bytes which are not there', async () => {
    const served = await serve()
    for (const place of ['1', '-1', '"__proto__"', '"x"', 'null', '1e9']) {
      const client = await RawSocket.join(served.port)
      client.text(`451-["rtapi",{"_placeholder":true,"num":${place}}]`)
      client.write(frame({ opcode: opcodes.binary, payload: 'x' }))
      await client.closeCode()
    }
    await expectAlive(served)
  })
})

describe('4400 is said to a client that sends', () => {
  test.each<[string, string]>([
    ['nothing', '42["rtapi"]'],
    ['an object', '42["rtapi",{"type":"hello"}]'],
    ['an object with a length', '42["rtapi",{"length":1}]'],
    ['a number', '42["rtapi",1]'],
    ['null', '42["rtapi",null]'],
    ['two frames', '42["rtapi","a","b"]'],
    ['two frames, and wants to know of it', '421["rtapi","a","b"]'],
    ['nothing, and wants to know of it', '421["rtapi"]'],
  ])('%s', async (_name, packet) => {
    const served = await serve()
    const client = await RawSocket.join(served.port)
    client.text(packet)
    client.text('42["rtapi","too late"]')
    const goodbye = JSON.parse((await client.untilText('42')).slice(2)) as [string, string]
    expect(JSON.parse(goodbye[1])).toMatchObject({ type: 'goodbye', code: 4400, again: false })
    await client.untilText('41')
    const link = await served.api.link(0)
    expect(await link.untilClosed()).toMatchObject({ code: 4400 })
    expect(link.received).toEqual([])
    await expectAlive(served)
  })

  test('bytes, if it speaks JSON', async () => {
    const served = await serve()
    const client = await RawSocket.join(served.port)
    client.text('451-["rtapi",{"_placeholder":true,"num":0}]')
    client.write(frame({ opcode: opcodes.binary, payload: '{"type":"hello"}' }))
    expect(await (await served.api.link(0)).untilClosed()).toEqual({ code: 4400, reason: 'expected a text' })
    await expectAlive(served)
  })
})

test('events of other names harm nobody, and frames beside them come', async () => {
  const served = await serve()
  const client = await RawSocket.join(served.port)
  for (const name of ['__proto__', 'error', 'constructor', 'toString', 'hasOwnProperty', 'connection', 'message', 'x'])
    client.text(`42["${name}",{"__proto__":{"a":1}}]`)
  client.text('42[7]')
  client.text('421["x"]')
  client.text('431[]')
  client.text('43["no id"]')
  client.text('42["rtapi","a frame"]')
  const link = await served.api.link(0)
  await link.untilReceived(1)
  expect([link.received, link.closings]).toEqual([['a frame'], []])
  expect(({} as { a?: number }).a).toBeUndefined()
  await expectAlive(served)
})

test('a frame for which an acknowledgement is wanted comes, and is not acknowledged', async () => {
  const served = await serve()
  const client = await RawSocket.join(served.port)
  client.text('427["rtapi","a frame"]')
  const link = await served.api.link(0)
  await link.untilReceived(1)
  link.socket.send({ data: 'an answer' })
  await client.untilText('42')
  expect(client.texts.filter((text) => text.startsWith('43'))).toEqual([])
  expect(link.received).toEqual(['a frame'])
})

test('unfinished bytes are let go with the connection', async () => {
  const served = await serve()
  const client = await RawSocket.join(served.port)
  client.text('4510-["rtapi",{"_placeholder":true,"num":0}]')
  for (let i = 0; i < 9; i++) client.write(frame({ opcode: opcodes.binary, payload: Buffer.alloc(1_000) }))
  client.raw.destroy()
  expect(await (await served.api.link(0)).untilClosed()).toMatchObject({ code: 1006 })
  await expectAlive(served)
})

describe('over polling', () => {
  test.each<[string, string | Buffer, Readonly<Record<string, string>>]>([
    ['an event that is no array', '42{"rtapi":1}', {}],
    ['thousands of attachments', '451000-["rtapi",{"_placeholder":true,"num":0}]', {}],
    ['base64 that is none', '451-["rtapi",{"_placeholder":true,"num":9}]\u001eb!!!', {}],
    ['an empty body', '', {}],
    ['only separators', '\u001e\u001e\u001e', {}],
    ['a type of no packet', '9', {}],
    ['bytes', Buffer.from([0, 255, 4]), { 'Content-Type': 'application/octet-stream' }],
  ])('a session is closed for %s', async (_name, body, headers) => {
    const served = await serve()
    const session = await RawPolling.join(served.port)
    // The server may break the request off; and a session without a poll is closed by the next one, or after 30 s.
    await session.post(body, headers).catch(() => undefined)
    await session.get()
    expect(await (await served.api.link(0)).untilClosed()).toMatchObject({ code: 1006 })
    expect((await poll(served.port, { query: `&sid=${session.sid}` })).status).toBe(400)
    await expectAlive(served)
  })

  test.each([
    '&sid=__proto__',
    '&sid=constructor',
    '&sid=unknown',
    '&transport=toString',
    '&transport=__proto__',
    '&EIO=3',
  ])('a handshake with %s is refused', async (query) => {
    const served = await serve()
    expect((await poll(served.port, { query })).status).toBe(400)
    await expectAlive(served)
  })

  test('two polls at once end the session', async () => {
    const served = await serve()
    const session = await RawPolling.join(served.port)
    await Promise.all([session.get(), session.get()])
    expect(await (await served.api.link(0)).untilClosed()).toMatchObject({ code: 1006 })
    await expectAlive(served)
  })
})
