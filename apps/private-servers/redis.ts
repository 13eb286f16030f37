import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from './free-port.ts'
import type { KeptServer } from './keeper.ts'

const notInstalled =
  'A cluster needs Redis, and redis-server is not installed: apt-get install redis-server (as root, on Debian or ' +
  'Ubuntu; elsewhere whatever brings it), or give --layer redis://… to use one that runs already.'

/** Starts the Redis of this machine, with nothing but what it holds in memory. */
export async function startRedis(app: string): Promise<KeptServer> {
  const folder = await mkdtemp(join(tmpdir(), `rtapi-${app}-redis-`))
  try {
    return await run(folder)
  } catch (error) {
    await rm(folder, { recursive: true, force: true })
    throw error
  }
}

async function run(folder: string): Promise<KeptServer> {
  const port = await freePort()
  const settings = { port: String(port), bind: '127.0.0.1', dir: folder, save: '', appendonly: 'no' }
  const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value])
  const child = spawn('redis-server', args, { stdio: 'ignore' })
  await once(child, 'spawn').catch((error: NodeJS.ErrnoException) => {
    throw error.code === 'ENOENT' ? new Error(notInstalled) : error
  })
  const ended = once(child, 'exit')
  await listening(port, child)
  return {
    url: `redis://127.0.0.1:${port}`,
    ended,
    async stop() {
      child.kill('SIGKILL')
      await ended
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** Waits until Redis takes connections. */
async function listening(port: number, child: ChildProcess): Promise<void> {
  for (const deadline = performance.now() + 20_000; ;) {
    if (await takesConnections(port)) return
    if (child.exitCode !== null || child.signalCode !== null) throw new Error(`Redis ended with ${child.exitCode}.`)
    if (performance.now() > deadline) throw new Error('Redis did not start within 20 seconds.')
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

async function takesConnections(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}
