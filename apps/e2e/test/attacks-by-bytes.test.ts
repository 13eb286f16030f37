import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import {
  type Door,
  doors,
  enter,
  knock,
  longPolling,
  oneRequest,
  portOf,
  say,
  socketIo,
  socketIoPolling,
  statusOf,
  webSockets,
  wireFrame,
} from '../src/attacker/doors.ts'
import { RawConnection } from '../src/attacker/raw-connection.ts'
import type { BoardProcess } from '../src/board-process.ts'
import { type World, startWorld } from '../src/world.ts'

/** Rows of docs/security.md that attack what carries the messages, byte by byte, on a real process. */

// Processes take their time where many tests run at once.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 120_000 })

let world: World
let board: BoardProcess
/** What is held open from the beginning on, since it takes its time to be ended. */
const lingering: { readonly what: string; readonly ended: Promise<string> }[] = []

beforeAll(async () => {
  world = await startWorld({ layer: 'memory', orm: 'mikro-orm', database: 'sqlite' })
  board = world.node(0)
  for (const door of doors) await linger(door)
})

afterAll(async () => world.stop())

const own = (): string => board.line.http

/** The board serves others, as it did before. */
async function expectAlive(): Promise<void> {
  expect(await statusOf(board.line, oneRequest)).toBe(200)
}

/** Opens a session of socket.io by polling, and answers how it is asked. */
async function pollingPath(): Promise<string> {
  const opened = await knock(board.line, socketIoPolling)
  const [, sid = ''] = /"sid":"([^"]+)"/.exec(await opened.says('"sid"')) ?? []
  opened.close()
  return `${socketIoPolling.path}&sid=${sid}`
}

describe('A9 a message above the limit', () => {
  test.each(webSockets)('A9 over $name: is refused by its announced length, before it has come', async (door) => {
    const connection = await enter(board.line, door)
    connection.write(wireFrame(0x81, Buffer.from('{'), { claims: 100_000_000 }))
    expect([1009, 1006]).toContain(await connection.closeCode())
    await expectAlive()
  })

  test.each([longPolling, oneRequest])('A9 over $name: a body is answered with 413', async (door) => {
    const big = 'x'.repeat(65_537)
    expect(await statusOf(board.line, door, { body: big })).toBe(413)
    // Without a length it is read only as far as it may go.
    const connection = await RawConnection.open(portOf(board.line))
    const head = `POST ${door.path} HTTP/1.1\r\nHost: ${new URL(own()).host}\r\nTransfer-Encoding: chunked\r\n\r\n`
    connection.write(head, `10001\r\n${big}\r\n`)
    expect((await connection.answer()).status).toBe(413)
    connection.close()
  })

  test('A9 over polling of socket.io: a body ends the session', async () => {
    const path = await pollingPath()
    const post = await knock(board.line, longPolling, { path, body: '4'.repeat(200_000) })
    expect([0, 400, 413]).toContain((await post.answer()).status)
    post.close()
    await expectAlive()
  })
})

describe.each(webSockets)('A11 over $name: a frame against the protocol', (door) => {
  const text = Buffer.from('{"type":"ping"}')
  const cases: readonly (readonly [string, Buffer])[] = [
    ['unmasked', wireFrame(0x81, text, { masked: false })],
    ['with RSV1', wireFrame(0xc1, text)],
    ['with RSV2', wireFrame(0xa1, text)],
    ['with RSV3', wireFrame(0x91, text)],
    ['of a reserved opcode', wireFrame(0x83, text)],
    ['of a reserved control opcode', wireFrame(0x8b, text)],
    ['that is no UTF-8', wireFrame(0x81, Buffer.of(0xc3, 0x28))],
    ['of control, and long', wireFrame(0x89, Buffer.alloc(126))],
    ['of control, in pieces', wireFrame(0x09, text)],
    ['that goes on with nothing', wireFrame(0x80, text)],
    ['of closing, with half a code', wireFrame(0x88, Buffer.of(3))],
    ['of closing, with a code that is none', wireFrame(0x88, Buffer.of(0x03, 0xed))],
    ['of closing, with a reason that is no UTF-8', wireFrame(0x88, Buffer.of(0x03, 0xe8, 0xff))],
  ]
  test.each(cases)('%s, ends the connection', async (_what, bytes) => {
    const connection = await enter(board.line, door)
    connection.write(bytes)
    expect([1002, 1007, 1006]).toContain(await connection.closeCode())
    connection.close()
  })

  test('and harms nobody', expectAlive)
})

describe('A13 a compression bomb', () => {
  test.each(webSockets)('A13 over $name: there is no inflation', async (door) => {
    const before = await residentSize()
    const connection = await enter(board.line, door, {
      headers: [['Sec-WebSocket-Extensions', 'permessage-deflate; client_max_window_bits; server_no_context_takeover']],
    })
    expect((await connection.answer()).headers['sec-websocket-extensions']).toBeUndefined()
    // What would become 60 MB.
    connection.write(wireFrame(0xc1, Buffer.alloc(58_000, 0xaa)))
    expect([1002, 1006]).toContain(await connection.closeCode())
    expect((await residentSize()) - before).toBeLessThan(60)
  })

  test.each([longPolling, oneRequest])('A13 over $name: a compressed body is refused', async (door) => {
    for (const encoding of ['gzip', 'deflate', 'br', 'zstd'])
      expect(await statusOf(board.line, door, { headers: [['Content-Encoding', encoding]] })).toBe(415)
  })

  test('A13 over polling of socket.io: a compressed body is read as it stands', async () => {
    const path = await pollingPath()
    const post = await knock(board.line, longPolling, {
      path,
      body: '\u001f\u008b'.repeat(100),
      headers: [['Content-Encoding', 'gzip']],
    })
    await post.answer()
    post.close()
    await expectAlive()
  })
})

test.each(webSockets)('A14 over $name: small fragments without end close the connection', async (door) => {
  const connection = await enter(board.line, door)
  connection.write(wireFrame(0x01, Buffer.from('x')))
  let sent = 1
  const over = connection.closeCode()
  const isOver = over.then(() => true)
  while (sent < 20_000 && !(await Promise.race([isOver, tick()]))) {
    connection.write(wireFrame(0x00, Buffer.from('x')))
    sent++
  }
  expect([1008, 1006]).toContain(await over)
  await expectAlive()
})

describe('packets of socket.io', () => {
  const event = '["rtapi",{"_placeholder":true,"num":0}]'
  test.each([
    ['thousands of attachments', `451000000-${event}`],
    ['no attachments', `450-${event}`],
    ['half an attachment', `451.5-${event}`],
    ['attachments without end', '45'],
  ])('A15 over socket.io: %s end the connection', async (_what, packet) => {
    const connection = await enter(board.line, socketIo)
    connection.write(wireFrame(0x81, Buffer.from(packet)))
    await connection.closeCode()
    connection.close()
    await expectAlive()
  })

  test.each([
    'x',
    '',
    '49',
    '42{"rtapi":1}',
    '42null',
    '42[]',
    '42["disconnect"]',
    '42["rtapi","x',
    '44{}',
    '42/x,["y"]',
  ])('A16 over socket.io: the packet %j ends the connection and no process', async (packet) => {
    const connection = await enter(board.line, socketIo)
    connection.write(wireFrame(0x81, Buffer.from(packet)))
    await connection.closeCode()
    connection.close()
    await expectAlive()
  })

  test('A16 over socket.io: events of other names harm nobody', async () => {
    const connection = await enter(board.line, socketIo)
    for (const name of ['__proto__', 'error', 'constructor', 'connection', 'newListenerx'])
      connection.write(wireFrame(0x81, Buffer.from(`42["${name}",{"__proto__":{"a":1}}]`)))
    say(connection, socketIo, '{"type":"hello","versions":[1]}')
    await connection.says('welcome')
    connection.close()
  })

  test.each(['42{"rtapi":1}', '451000000-["x"]', '\u001e\u001e', '9', '', 'b!!!!'])(
    'A15, A16 over polling of socket.io: the body %j ends the session and no process',
    async (body) => {
      const path = await pollingPath()
      const post = await knock(board.line, longPolling, { path, body })
      await post.answer()
      post.close()
      await expectAlive()
    },
  )
})

test('A5, A40: whoever says half of something, or does not say who they are, is ended', async () => {
  const ends = await Promise.all(lingering.map(async ({ what, ended }) => `${what}: ${await ended}`))
  expect(ends.length).toBeGreaterThan(8)
  for (const end of ends) expect(end).toMatch(/: (ended|4408|408)$/)
  await expectAlive()
})

test('A44 over every transport: the log holds nothing of what was sent', () => {
  const { stdout, stderr } = board.output
  expect(stdout.split('\n')).toHaveLength(2)
  expect(stderr).not.toMatch(/evil|rtapi.*placeholder|Bearer/)
})

/** Begins what is never finished, in each of the ways that this door has. */
async function linger(door: Door): Promise<void> {
  const half = await RawConnection.open(portOf(board.line))
  half.write(`${door.method} ${door.path} HTTP/1.1\r\nHost: x\r\nX-Half`)
  lingering.push({ what: `half a head for ${door.name}`, ended: half.ended().then(() => 'ended') })
  if (door.body !== undefined) {
    const dribble = await RawConnection.open(portOf(board.line))
    dribble.write(`POST ${door.path} HTTP/1.1\r\nHost: ${new URL(own()).host}\r\nContent-Length: 100\r\n\r\n{`)
    lingering.push({ what: `half a body for ${door.name}`, ended: dribble.answer().then(({ status }) => `${status}`) })
  }
  if (webSockets.includes(door)) {
    const silent = await enter(board.line, door)
    lingering.push({ what: `silence over ${door.name}`, ended: silent.says('4408').then(() => '4408') })
  }
}

/** Megabytes of the board's process. */
async function residentSize(): Promise<number> {
  const status = await readFile(`/proc/${board.pid}/status`, 'utf8')
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) / 1_024
}

function tick(): Promise<false> {
  return new Promise((resolve) => setImmediate(() => resolve(false)))
}
