import { execFile } from 'node:child_process'
import { chmod, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Sequelize } from 'sequelize'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { startBoard, temporaryFolder } from '../../e2e/src/board-process.ts'
import { connect } from '../../e2e/src/wire-client.ts'
import { type PrivateServer, startPrivateServer } from '../../private-servers/private-server.ts'

// Processes take their time where many tests run at once.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

let folder: Awaited<ReturnType<typeof temporaryFolder>>

beforeAll(async () => {
  folder = await temporaryFolder()
  // PostgreSQL may run as another user.
  await chmod(folder.path, 0o755)
})

afterAll(() => folder.remove())

const start = (): Promise<PrivateServer> =>
  startPrivateServer({ kind: 'postgres', app: 'board', folder: `${folder.path}/postgres` })

async function query(server: PrivateServer, sql: string): Promise<readonly unknown[]> {
  const database = new Sequelize(server.url.replace(/board$/, 'postgres'), { logging: false })
  const [rows] = await database.query(sql)
  await database.close()
  return rows
}

test('PostgreSQL keeps its data, and is not started twice on them', async () => {
  const server = await start()
  await query(server, 'create table kept as select 7 as number')
  await expect(start()).rejects.toThrow(
    /Another board uses the PostgreSQL .* --db postgres:\/\/board:board@127.0.0.1:\d+\/board/,
  )
  await server.stop()
  const again = await start()
  expect(await query(again, 'select number from kept')).toEqual([{ number: 7 }])
  await again.stop()
})

test('PostgreSQL ends with a process that is killed, and starts anew', async () => {
  const module = fileURLToPath(new URL('../../private-servers/private-server.ts', import.meta.url))
  const script = `
    const { startPrivateServer } = await import(${JSON.stringify(module)})
    await startPrivateServer({ kind: 'postgres', app: 'board', folder: ${JSON.stringify(`${folder.path}/postgres`)} })
    process.kill(process.pid, 'SIGKILL')`
  const file = `${folder.path}/starts-and-dies.mjs`
  await writeFile(file, script)
  const killed = promisify(execFile)(process.execPath, ['--conditions=rtapi-source', file])
  await expect(killed).rejects.toMatchObject({ signal: 'SIGKILL' })
  const server = await vi.waitFor(start, 30_000)
  await server.stop()
})

test('with Sequelize and no database a board brings its own, which lasts and which nodes share', async () => {
  const env = { BOARD_DATA: `${folder.path}/data` }
  const board = await startBoard(['--orm', 'sequelize'], env)
  expect(board.line.db).toMatch(/^postgres:\/\/board:board@127\.0\.0\.1:\d+\/board$/)
  const token = await board.login('alice')
  const alice = await connect(board.line, { token })
  await alice.request('projects', 'create', { data: { name: 'lasting', public: true } })
  expect(await board.stop()).toBe(0)
  expect(board.output.stderr.trim().split('\n')).toHaveLength(1)

  const cluster = await startBoard(['--orm', 'sequelize', '--nodes', '2'], env)
  for (const node of cluster.line.nodes ?? []) {
    const client = await connect({ ...cluster.line, ...node }, { token })
    const reply = await client.request('projects', 'list', { order: [['id', 'asc']] })
    expect(reply.ok && reply.rows?.map(({ data }) => data['name'])).toEqual(['Garden day', 'lasting'])
  }
  expect(await cluster.stop()).toBe(0)
})
