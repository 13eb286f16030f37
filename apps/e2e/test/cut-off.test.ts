import { randomUUID } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { type TcpProxy, tcpProxy } from '../../../packages/redis/test/support/tcp-proxy.ts'
import { type RedisServer, startRedis } from '../../../test/services/redis.ts'
import { startAttackedBoard } from '../src/attacker/start-attacked-board.ts'
import type { BoardProcess } from '../src/board-process.ts'
import { type TestDatabase, newDatabase } from '../src/databases.ts'
import { create, remove, update } from '../src/stage.ts'
import { type LinkName, links } from '../src/transports.ts'
import { type WireClient, connect } from '../src/wire-client.ts'

/** F32: somebody is switched off, or loses a membership, while the board that shows them something hears of nothing. */

// Processes take their time where many tests run at once.
vi.setConfig({ testTimeout: 90_000, hookTimeout: 120_000 })

const transports: readonly LinkName[] = ['ws', 'socket.io', 'long-polling', 'event-stream']

let redis: RedisServer
let proxy: TcpProxy
let database: TestDatabase
const boards: BoardProcess[] = []
const clients: WireClient[] = []

beforeEach(async () => {
  redis = await startRedis()
  proxy = await tcpProxy(redis.port)
  database = await newDatabase('sqlite')
})

afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()))
  await Promise.all(boards.splice(0).map((board) => board.stop('SIGKILL')))
  await proxy.stop()
  await redis.stop()
  await database.remove()
})

/** One board that hears of everything, and one behind the proxy whose time passes so many times as fast. */
async function open(hurry: string) {
  const start = async (layer: string, env = {}): Promise<BoardProcess> => {
    const flags = ['--db', database.url, '--layer', layer, '--seed', 'empty']
    const board = await startAttackedBoard(flags, env)
    boards.push(board)
    return board
  }
  const [near, far] = [await start(redis.url), await start(proxy.url, { HURRY: hurry })]
  const as = async (board: BoardProcess, token: string, transport: LinkName = 'ws'): Promise<WireClient> => {
    const client = await connect(board.line, { token, open: links[transport] })
    clients.push(client)
    return client
  }
  const root = await as(near, await near.login('root'))
  const projectId = await create(root, 'projects', { name: 'private' })
  const task = await create(root, 'tasks', { projectId, title: 'first' })
  const newcomer = async () => {
    const name = randomUUID()
    const id = await create(root, 'users', { name, password: 'pw' })
    const membership = await create(root, 'memberships', { projectId, userId: id })
    return { id, membership, token: await far.login(name) }
  }
  const [fired, moved] = [await newcomer(), await newcomer()]
  const watch = async (token: string) =>
    await Promise.all(
      transports.map(async (transport) => {
        const client = await as(far, token, transport)
        return { client, view: await client.subscribe('tasks', { where: { projectId } }) }
      }),
    )
  const witness = await as(far, await far.login('root'))
  const shown = await witness.subscribe('tasks', { where: { projectId } })
  return {
    root,
    fired,
    moved,
    /** Writes a text at the board that is cut off, and answers it once it has been shown there. */
    writeThere: async (): Promise<string> => {
      const title = randomUUID()
      await update(witness, 'tasks', task, { title })
      await shown.until(() => shown.rows.get(task)?.['title'] === title)
      return title
    },
    watching: { fired: await watch(fired.token), moved: await watch(moved.token) },
  }
}

describe('F32 a board that is cut off from the others', () => {
  test('asks anew within a minute who its clients are and what they may see', async () => {
    const { root, fired, moved, writeThere, watching } = await open('20')
    proxy.cut()
    await update(root, 'users', fired.id, { active: false })
    await remove(root, 'memberships', moved.membership)
    for (const { client } of watching.fired) expect([4401, 4440]).toContain((await client.closed).code)
    for (const { view } of watching.moved) await view.until(() => view.rows.size === 0)
    const canary = await writeThere()
    for (const { client } of [...watching.fired, ...watching.moved])
      expect(JSON.stringify(client.messages)).not.toContain(canary)
    for (const { view } of watching.moved) expect(view.ended).toBeUndefined()
  })

  test('obeys at once when the cut is over', async () => {
    // Its time is that of everybody: nothing would be asked anew for most of a minute.
    const { root, fired, moved, writeThere, watching } = await open('1')
    proxy.cut()
    await update(root, 'users', fired.id, { active: false })
    await remove(root, 'memberships', moved.membership)
    const from = performance.now()
    proxy.heal()
    for (const { client } of watching.fired) expect([4401, 4440]).toContain((await client.closed).code)
    for (const { view } of watching.moved) await view.until(() => view.rows.size === 0)
    expect(performance.now() - from).toBeLessThan(40_000)
    const canary = await writeThere()
    for (const { client } of [...watching.fired, ...watching.moved])
      expect(JSON.stringify(client.messages)).not.toContain(canary)
  })
})
