import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import {
  type Door,
  type HeaderLines,
  doors,
  enter,
  eventStream,
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
  ws,
} from '../src/attacker/doors.ts'
import { RawConnection } from '../src/attacker/raw-connection.ts'
import { type BoardProcess, startBoard } from '../src/board-process.ts'
import { type TestDatabase, newDatabase } from '../src/databases.ts'

/** Rows of docs/security.md that attack what carries the messages, on a real process and every way into it. */

// Processes take their time where many tests run at once.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 120_000 })

let database: TestDatabase
let board: BoardProcess
let alice: string
let bob: string
/** What is held open from the beginning on, since it takes its time to be ended. */
const lingering: { readonly what: string; readonly ended: Promise<string> }[] = []

beforeAll(async () => {
  database = await newDatabase('sqlite')
  board = await startBoard(['--db', database.url, '--layer', 'memory'])
  ;[alice, bob] = await Promise.all([board.login('alice'), board.login('bob')])
  for (const door of doors) await linger(door)
})

afterAll(async () => {
  await board.stop('SIGKILL')
  await database.remove()
})

const own = (): string => board.line.http
const cookie = (token: string): HeaderLines => [['Cookie', `board_token=${token}`]]
const bearer = (token: string): HeaderLines => [['Authorization', `Bearer ${token}`]]

/** The board serves others, as it did before. */
async function expectAlive(): Promise<void> {
  expect(await statusOf(board.line, oneRequest)).toBe(200)
}

describe.each(doors)('A1 over $name: a page of another site', (door) => {
  test('does not come in with the cookies of the user, nor without', async () => {
    for (const headers of [cookie(alice), []])
      expect([400, 403]).toContain(
        await statusOf(board.line, door, { headers: [['Origin', 'https://evil.example'], ...headers] }),
      )
    // Nobody is asked who says no origin and brings no cookie; with one, it might be a page of anybody.
    expect([400, 403]).toContain(await statusOf(board.line, door, { headers: cookie(alice) }))
    expect(await statusOf(board.line, door, { headers: [['Origin', own()], ...cookie(alice)] })).toBe(door.opens)
    expect(await statusOf(board.line, door)).toBe(door.opens)
  })
})

describe.each(doors)('A2 over $name: an origin', (door) => {
  test('that looks like the own one, is none, or stands twice is refused', async () => {
    const { port } = new URL(own())
    const twins: readonly HeaderLines[] = [
      ...[
        'null',
        '',
        `${own()}.evil.example`,
        `${own()}0`,
        `http://evil127.0.0.1:${port}`,
        `http://127.0.0.1:${port}@evil.example`,
        own().replace('http', 'https'),
        'http://127.0.0.1:1',
        'http://127.0.0.1',
        own().replace('http', 'HTTP'),
        `${own()}/`,
        `http://localhost:${port}`,
      ].map((origin): HeaderLines => [['Origin', origin]]),
      [
        ['Origin', own()],
        ['Origin', 'https://evil.example'],
      ],
      [
        ['Origin', 'https://evil.example'],
        ['Origin', own()],
      ],
      [
        ['Origin', 'https://evil.example'],
        ['X-Forwarded-Host', 'evil.example'],
        ['X-Forwarded-Proto', 'https'],
      ],
    ]
    for (const headers of twins)
      expect([400, 403], JSON.stringify(headers)).toContain(
        await statusOf(board.line, door, { headers: [...headers, ...cookie(alice)] }),
      )
  })
})

describe('A3 another way to a transport', () => {
  test.each([
    '/',
    '/rt/',
    '/RT',
    '/rt/x',
    '//rt',
    '/rt%2f',
    '/rt-poll',
    '/rt-poll/stream',
    '/socket.io',
    '/socket.iox/',
    '/socket.io/../rt/x',
  ])('A3 over ws: an upgrade of %s is refused', async (path) => {
    expect([400, 404]).toContain(await statusOf(board.line, ws, { path }))
  })

  test.each(['webtransport', 'constructor', '__proto__', 'flashsocket'])(
    'A3 over socket.io: the transport %s is refused',
    async (name) => {
      const path = `/socket.io/?EIO=4&transport=${name}`
      expect([400, 403, 404]).toContain(await statusOf(board.line, socketIo, { path }))
      expect([400, 403, 404]).toContain(await statusOf(board.line, socketIoPolling, { path }))
    },
  )

  test('A3 over socket.io: an upgrade of a polling session asks for the origin as well', async () => {
    const opened = await knock(board.line, socketIoPolling)
    const [, sid = ''] = /"sid":"([^"]+)"/.exec(await opened.says('"sid"')) ?? []
    opened.close()
    const path = `/socket.io/?EIO=4&transport=websocket&sid=${sid}`
    expect([400, 403]).toContain(
      await statusOf(board.line, socketIo, { path, headers: [['Origin', 'https://evil.example']] }),
    )
  })

  test('A3 over HTTP: the absolute form of an address leads nowhere else, and no tunnel is made', async () => {
    const path = `http://evil.example/rt-poll/projects/list`
    const headers: HeaderLines = [['Origin', 'http://evil.example']]
    expect([400, 403, 404, 405]).toContain(await statusOf(board.line, oneRequest, { path, headers }))
    const tunnel = await RawConnection.open(portOf(board.line))
    tunnel.write('CONNECT 127.0.0.1:1 HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\n')
    expect((await tunnel.answer()).status).not.toBe(200)
    tunnel.close()
    await expectAlive()
  })
})

describe.each(doors)('A4 over $name: a token in the URL', (door) => {
  test('is not read, or the request is refused', async () => {
    const path = `${door.path}${door.path.includes('?') ? '&' : '?'}token=${alice}&access_token=${alice}`
    const connection = await knock(board.line, door, { path })
    const { status } = await connection.answer()
    if (status === door.opens && webSockets.includes(door)) {
      if (door === socketIo) {
        connection.write(wireFrame(0x81, Buffer.from('40')))
        await connection.says('40{')
      }
      say(connection, door, '{"type":"hello","versions":[1]}')
      await connection.says('welcome')
    }
    expect(connection.text).not.toMatch(/"user"/)
    connection.close()
  })
})

describe('A8 the session of somebody else', () => {
  const poll = (session: string, headers: HeaderLines): Promise<RawConnection> =>
    knock(board.line, longPolling, { path: '/rt-poll/poll', body: JSON.stringify({ session, cursor: 1 }), headers })

  async function opened(): Promise<string> {
    const body = '[{"type":"hello","versions":[1]},{"type":"subscribe","id":"s","resource":"projects"}]'
    const connection = await knock(board.line, longPolling, { body, headers: bearer(alice) })
    const [, session = ''] = /"session":"([0-9a-f]{32})"/.exec(await connection.says('welcome')) ?? []
    connection.close()
    return session
  }

  test('A8 over long polling: polls, frames, streams and ends of others are answered as of an unknown one', async () => {
    const session = await opened()
    const unknown = 'f'.repeat(32)
    for (const headers of [bearer(bob), [], bearer('nonsense')] as readonly HeaderLines[]) {
      const ask = async (id: string): Promise<readonly (readonly [number, string])[]> => {
        const answers = await Promise.all([
          poll(id, headers),
          knock(board.line, longPolling, {
            headers: [['RTAPI-Session', id], ['RTAPI-Sequence', '1'], ...headers],
            body: '{"type":"request","id":"r","resource":"tasks","action":"list"}',
          }),
          knock(board.line, eventStream, { path: `/rt-poll/stream?session=${id}&cursor=0`, headers }),
          knock(board.line, longPolling, { path: '/rt-poll/close', body: JSON.stringify({ session: id }), headers }),
        ])
        return await Promise.all(
          answers.map(async (connection) => {
            const { status } = await connection.answer()
            await connection.says(/\r\n0\r\n\r\n$/)
            connection.close()
            // Whether the connection goes on depends on how much of the body has come by then.
            const told = connection.text.replaceAll(/^(date|connection|keep-alive):.*\r\n/gim, '')
            return [status, told.replaceAll(id, 'ID')]
          }),
        )
      }
      const answers = await ask(session)
      expect(answers).toEqual(await ask(unknown))
      expect(answers.map(([status]) => status)).toEqual([404, 404, 404, 404])
    }
    // It is as it was, to whom it belongs.
    const hers = await poll(session, bearer(alice))
    expect((await hers.answer()).status).toBe(200)
    expect(await hers.says('snapshot')).toContain('"id":"s"')
    hers.close()
  })

  test('A8 over long polling: after signing out it is over for its owner too', async () => {
    const token = await board.login('alice')
    const body = '{"type":"hello","versions":[1]}'
    const connection = await knock(board.line, longPolling, { body, headers: bearer(token) })
    const [, session = ''] = /"session":"([0-9a-f]{32})"/.exec(await connection.says('welcome')) ?? []
    connection.close()
    const out = await knock(board.line, longPolling, { path: '/logout', body: '', headers: bearer(token) })
    expect((await out.answer()).status).toBe(204)
    out.close()
    const again = await poll(session, bearer(token))
    const { status } = await again.answer()
    if (status === 200) await again.says('4440')
    else expect([401, 404]).toContain(status)
    expect(again.text).not.toContain('snapshot')
    again.close()
  })

  test('A8 over socket.io: a session id that is guessed is none', async () => {
    for (const sid of ['__proto__', 'constructor', 'AAAAAAAAAAAAAAAAAAAA']) {
      expect(await statusOf(board.line, socketIoPolling, { path: `${socketIoPolling.path}&sid=${sid}` })).toBe(400)
      expect(await statusOf(board.line, socketIo, { path: `${socketIo.path}&sid=${sid}` })).toBe(400)
    }
  })
})

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
    const opened = await knock(board.line, socketIoPolling)
    const [, sid = ''] = /"sid":"([^"]+)"/.exec(await opened.says('"sid"')) ?? []
    opened.close()
    const path = `${socketIoPolling.path}&sid=${sid}`
    const post = await knock(board.line, longPolling, { path, body: '4'.repeat(200_000) })
    expect([0, 400, 413]).toContain((await post.answer()).status)
    post.close()
    await expectAlive()
  })
})

describe.each(doors)('A10 over $name: a head', (door) => {
  test('that is long, has many lines, or asks for what is no WebSocket', async () => {
    const refused = [0, 400, 403, 404, 413, 426, 431]
    const long: readonly HeaderLines[] = [
      [['X-Long', 'x'.repeat(20_000)]],
      Array.from({ length: 3_000 }, (_, i): readonly [string, string] => [`X-${i}`, 'x']),
    ]
    for (const headers of long) expect(refused).toContain(await statusOf(board.line, door, { headers }))
    if (door.opens !== 101) return
    const wrong: readonly HeaderLines[] = [
      [['Sec-WebSocket-Protocol', 'rtapi.v1.json,,']],
      [['Sec-WebSocket-Protocol', 'x,'.repeat(5_000)]],
      [['Sec-WebSocket-Extensions', `permessage-deflate;${'a;'.repeat(7_000)}`]],
      [['Sec-WebSocket-Version', '8']],
      [['Upgrade', 'h2c']],
    ]
    for (const headers of wrong) {
      const connection = await knock(board.line, door, { headers })
      const { status, headers: answered } = await connection.answer()
      // socket.io speaks no subprotocol; whatever is opened is without an extension.
      if (status === 101) expect(answered['sec-websocket-extensions']).toBeUndefined()
      else expect(refused).toContain(status)
      connection.close()
    }
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
    const opened = await knock(board.line, socketIoPolling)
    const [, sid = ''] = /"sid":"([^"]+)"/.exec(await opened.says('"sid"')) ?? []
    opened.close()
    const path = `${socketIoPolling.path}&sid=${sid}`
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
      const opened = await knock(board.line, socketIoPolling)
      const [, sid = ''] = /"sid":"([^"]+)"/.exec(await opened.says('"sid"')) ?? []
      opened.close()
      const path = `${socketIoPolling.path}&sid=${sid}`
      const post = await knock(board.line, longPolling, { path, body })
      await post.answer()
      post.close()
      await expectAlive()
    },
  )
})

describe('A39 many connections', () => {
  test('A39 over ws and long polling: of one user there are twenty, over whatever transport', async () => {
    const token = await board.login('carol')
    const held: RawConnection[] = []
    for (let i = 0; i < 10; i++) {
      const connection = await enter(board.line, ws, { headers: bearer(token) })
      say(connection, ws, '{"type":"hello","versions":[1]}')
      await connection.says('welcome')
      const session = await knock(board.line, longPolling, { headers: bearer(token) })
      await session.says('welcome')
      held.push(connection, session)
    }
    for (const door of webSockets) {
      const connection = await enter(board.line, door, { headers: bearer(token) })
      say(connection, door, '{"type":"hello","versions":[1]}')
      expect(await connection.says('goodbye')).toContain('4429')
      connection.close()
    }
    const session = await knock(board.line, longPolling, { headers: bearer(token) })
    expect(await session.says(/4429|429/)).not.toContain('welcome')
    for (const connection of [...held, session]) connection.close()
  })
})

describe('A47 a cache', () => {
  test.each([longPolling, oneRequest, eventStream, socketIoPolling])(
    'A47 over $name: may keep nothing, answers or refusals',
    async (door) => {
      const path = door === eventStream ? `${door.path}x` : `${door.path}/nosuch/list`
      for (const changed of [{}, { path, method: 'POST' }]) {
        const connection = await knock(board.line, door, changed)
        const { headers } = await connection.answer()
        expect(headers['cache-control'], JSON.stringify(changed)).toMatch(/no-store/)
        if (door !== socketIoPolling) expect(headers['vary'], JSON.stringify(changed)).toMatch(/authorization/i)
        connection.close()
        if (door === socketIoPolling) break
      }
    },
  )

  test('A47 over long polling: polls are no GET, and of two tabs that poll one session one is answered empty', async () => {
    expect(await statusOf(board.line, longPolling, { path: '/rt-poll/poll', method: 'GET' })).toBe(405)
    const opened = await knock(board.line, longPolling)
    const [, session = ''] = /"session":"([0-9a-f]{32})"/.exec(await opened.says('welcome')) ?? []
    opened.close()
    const body = JSON.stringify({ session, cursor: 1 })
    const first = await knock(board.line, longPolling, { path: '/rt-poll/poll', body })
    const second = await knock(board.line, longPolling, { path: '/rt-poll/poll', body })
    expect((await first.answer()).status).toBe(200)
    await first.says(/"cursor":1\D/)
    expect(second.text).toBe('')
    first.close()
    second.close()
  })
})

test('A5, A40: whoever says half of something, or does not say who they are, is ended', async () => {
  const ends = await Promise.all(lingering.map(async ({ what, ended }) => `${what}: ${await ended}`))
  expect(ends.length).toBeGreaterThan(8)
  for (const end of ends) expect(end).toMatch(/: (ended|4408|408)$/)
  await expectAlive()
})

test('A44 over every transport: the log holds no token and nothing of what was sent', () => {
  const { stdout, stderr } = board.output
  expect(stdout.split('\n')).toHaveLength(2)
  expect(stderr).not.toMatch(/evil|rtapi.*placeholder|Bearer/)
  for (const token of [alice, bob]) expect(stderr).not.toContain(token)
})

/** Begins what is never finished, in each of the ways that this door has. */
async function linger(door: Door): Promise<void> {
  const half = await RawConnection.open(portOf(board.line))
  half.write(`${door.method} ${door.path} HTTP/1.1\r\nHost: x\r\nX-Half`)
  lingering.push({ what: `half a head for ${door.name}`, ended: half.ended().then(() => 'ended') })
  if (door.body !== undefined) {
    const slow = await knock(board.line, door, { headers: [['Transfer-Encoding', 'chunked']], body: '' })
    slow.close()
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
