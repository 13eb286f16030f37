import { once } from 'node:events'
import { request } from 'node:http'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { type BoardProcess, startBoard, temporaryFolder } from '../../e2e/src/board-process.ts'
import { type LinkName, connectOver, links } from '../../e2e/src/transports.ts'
import { connect } from '../../e2e/src/wire-client.ts'

// Processes take their time where many tests run at once.
vi.setConfig({ testTimeout: 30_000, hookTimeout: 60_000 })

const everyLink = Object.keys(links) as LinkName[]
let board: BoardProcess
let removeFolder: () => Promise<void>
let token: string

beforeAll(async () => {
  const folder = await temporaryFolder()
  removeFolder = folder.remove
  board = await startBoard(['--db', `sqlite:${folder.path}/transports.sqlite`])
  token = await board.login('bob')
})

afterAll(async () => {
  await board.stop()
  await removeFolder()
})

describe.each(everyLink)('over %s', (name) => {
  const open = links[name]
  const userOf = async (headers: Readonly<Record<string, string>>): Promise<unknown> => {
    const client = await connect(board.line, { open, headers })
    const { user } = await client.welcomed
    await client.close()
    return user
  }

  test('a client is whom its header or the cookie of its own page says', async () => {
    expect(await userOf({ authorization: `Bearer ${token}` })).toBeTypeOf('number')
    expect(await userOf({ cookie: `board_token=${token}`, origin: board.line.http })).toBeTypeOf('number')
    expect(await userOf({})).toBeUndefined()
  })

  test('pages of other origins, and cookies without an origin, are refused', async () => {
    const cookie = `board_token=${token}`
    const refused = [{ cookie }, { cookie, origin: 'http://evil.example' }, { origin: 'null' }]
    for (const headers of refused) await expect(userOf(headers)).rejects.toThrow(/closed with/)
  })
})

test('a page reads with its cookie, for which browsers send no Origin', async () => {
  const stream = async (headers: Readonly<Record<string, string>>): Promise<number> => {
    const query = new URLSearchParams({ subscribe: JSON.stringify({ resource: 'users' }) })
    const response = await fetch(`${board.line.poll}/stream?${query}`, { headers })
    if (response.status !== 200 || response.body === null) return response.status
    for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
      if (chunk.includes('"type":"snapshot"')) return 200
      if (chunk.includes('"type":"end"')) return 404
    }
    return 0
  }
  const cookie = `board_token=${token}`
  expect(await stream({ cookie, 'sec-fetch-site': 'same-origin' })).toBe(200)
  expect(await stream({ cookie, 'sec-fetch-site': 'cross-site' })).toBe(403)
  expect(await stream({})).toBe(404)
})

test.each(['/', '/rt/', '/rt-poll', '/socket.io', '/elsewhere'])('an upgrade of %s is answered 404', async (path) => {
  const headers = { connection: 'upgrade', upgrade: 'websocket', 'sec-websocket-version': '13' }
  const key = { 'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==' }
  const asked = request(`${board.line.http}${path}`, { headers: { ...headers, ...key } })
  asked.end()
  const [response] = (await once(asked, 'response')) as [{ statusCode: number; resume(): void }]
  response.resume()
  expect(response.statusCode).toBe(404)
})

test('SIGTERM says goodbye over every transport, and ends it with status 0', async () => {
  const folder = await temporaryFolder()
  const leaving = await startBoard(['--db', `sqlite:${folder.path}/leaving.sqlite`])
  const clients = await Promise.all(everyLink.map((name) => connect(leaving.line, { open: links[name] })))
  const watcher = await connectOver('script', leaving.line)
  await watcher.subscribe('projects')
  const code = leaving.stop('SIGTERM')
  const ends = await Promise.all(clients.map((client) => client.closed))
  expect(Object.fromEntries(ends.map((end, at) => [everyLink[at], end.code]))).toEqual(
    Object.fromEntries(everyLink.map((name) => [name, 4452])),
  )
  for (const { messages } of clients) expect(messages.at(-1)).toMatchObject({ type: 'goodbye', again: true })
  await watcher.close()
  expect(await code).toBe(0)
  expect(leaving.output.stderr.trim().split('\n')).toHaveLength(1)
  await folder.remove()
})
