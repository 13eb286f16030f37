import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { runBoard, startBoard, temporaryFolder } from '../../e2e/src/board-process.ts'
import { connect } from '../../e2e/src/wire-client.ts'

// Processes take their time where many tests run at once.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

let folder: Awaited<ReturnType<typeof temporaryFolder>>

beforeEach(async () => {
  folder = await temporaryFolder()
})

afterEach(() => folder.remove())

const flags = (): readonly string[] => ['--nodes', '2', '--db', `sqlite:${folder.path}/cluster.sqlite`]

test('two nodes share what is written and who is signed in, one that is killed is said, and SIGTERM ends all', async () => {
  const cluster = await startBoard(flags())
  const { line, output } = cluster
  const [first, second] = line.nodes ?? []
  if (first === undefined || second === undefined) throw new Error('there must be two nodes')
  const { pid: _, ...addresses } = first
  expect(line).toEqual({ ...addresses, db: line.db, layer: line.layer, nodes: [first, second] })
  expect(line.layer).toMatch(/^redis:\/\/127\.0\.0\.1:\d+$/)
  expect(output.stdout.split('\n')).toHaveLength(2)

  const token = await cluster.login('alice')
  const alice = await connect({ ...line, ...first }, { token })
  const bob = await connect({ ...line, ...second }, { token })
  const view = await bob.subscribe('projects')
  await alice.request('projects', 'create', { data: { name: 'far' } })
  await view.until(() => view.all('name').includes('far'))

  process.kill(second.pid, 'SIGKILL')
  await bob.closed
  await vi.waitUntil(
    () => output.stderr.includes(`Node 2 (process ${second.pid}) has ended with SIGKILL; 1 left.`),
    10_000,
  )
  expect(await alice.request('projects', 'list')).toMatchObject({ ok: true })

  const code = cluster.stop('SIGTERM')
  expect((await alice.closed).code).toBe(4452)
  expect(await code).toBe(0)
  for (const pid of [first.pid, second.pid]) expect(isAlive(pid)).toBe(false)
  await expect(fetch(line.layer?.replace('redis', 'http') ?? '')).rejects.toThrow('fetch failed')
})

test('nodes and Redis end with the process that started them, however that ends', async () => {
  const cluster = await startBoard(flags())
  const { nodes = [], layer = '' } = cluster.line
  await cluster.stop('SIGKILL')
  await vi.waitUntil(() => nodes.every(({ pid }) => !isAlive(pid)), 30_000)
  const isGone = (): Promise<boolean> =>
    fetch(layer.replace('redis', 'http')).then(
      () => false,
      (error: unknown) => String((error as { cause?: unknown }).cause).includes('ECONNREFUSED'),
    )
  await vi.waitUntil(isGone, 30_000)
})

test('a node whose cluster is gone before it is ready ends by itself', async () => {
  const main = fileURLToPath(new URL('../src/main.ts', import.meta.url))
  const node = fork(main, ['--port', '0', '--db', `sqlite:${folder.path}/alone.sqlite`], {
    execArgv: ['--conditions=rtapi-source'],
    stdio: 'ignore',
  })
  node.disconnect()
  expect(await once(node, 'exit')).toEqual([0, null])
})

test('a cluster that loses all of its nodes ends with status 1', async () => {
  const cluster = await startBoard(flags())
  const ended = cluster.exited
  for (const { pid } of cluster.line.nodes ?? []) process.kill(pid, 'SIGKILL')
  expect(await ended).toBe(1)
})

test('without redis-server it says how to get one', async () => {
  const { code, stdout, stderr } = await runBoard(flags(), { PATH: folder.path })
  expect(code).toBe(1)
  expect(stdout).toBe('')
  expect(stderr.trim().split('\n')).toEqual([expect.stringContaining('apt-get install redis-server')])
})

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
