import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import {
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
import type { BoardProcess } from '../src/board-process.ts'
import { type World, startWorld } from '../src/world.ts'

/** Rows of docs/security.md that attack how one comes in, on a real process and every way into it. */

// Processes take their time where many tests run at once.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 120_000 })

let world: World
let board: BoardProcess
let alice: string
let bob: string

beforeAll(async () => {
  world = await startWorld({ layer: 'memory', orm: 'mikro-orm', database: 'sqlite' })
  board = world.node(0)
  alice = world.token('alice')
  bob = world.token('bob')
})

afterAll(async () => world.stop())

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

test('A44 over every way in: the log holds no token', () => {
  const { stderr } = board.output
  expect(stderr).not.toMatch(/evil|Bearer/)
  for (const token of [alice, bob]) expect(stderr).not.toContain(token)
})
