import { execFile } from 'node:child_process'
import { chmod, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Sequelize } from 'sequelize'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { temporaryFolder } from '../../e2e/src/board-process.ts'
import { type PrivateServer, startPrivateServer } from '../src/private-servers/private-server.ts'

// Processes take their time where many tests run at once.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

let folder: Awaited<ReturnType<typeof temporaryFolder>>

beforeAll(async () => {
  folder = await temporaryFolder()
  // PostgreSQL may run as another user.
  await chmod(folder.path, 0o755)
})

afterAll(() => folder.remove())

const start = (): Promise<PrivateServer> => startPrivateServer({ kind: 'postgres', folder: `${folder.path}/postgres` })

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
  const module = fileURLToPath(new URL('../src/private-servers/private-server.ts', import.meta.url))
  const script = `
    const { startPrivateServer } = await import(${JSON.stringify(module)})
    await startPrivateServer({ kind: 'postgres', folder: ${JSON.stringify(`${folder.path}/postgres`)} })
    process.kill(process.pid, 'SIGKILL')`
  const file = `${folder.path}/starts-and-dies.mjs`
  await writeFile(file, script)
  const killed = promisify(execFile)(process.execPath, ['--conditions=rtapi-source', file])
  await expect(killed).rejects.toMatchObject({ signal: 'SIGKILL' })
  const server = await vi.waitFor(start, 30_000)
  await server.stop()
})
