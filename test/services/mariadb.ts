import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type Service, freePort, scratchFolder } from './service.ts'

const run = promisify(execFile)

/**
 * Starts the MariaDB that is installed on this machine.
 * @throws Error with the code `ENOENT` if none is.
 */
export async function startMariadb(): Promise<Service> {
  const folder = await scratchFolder('mariadb')
  const [data, socket] = [join(folder.path, 'data'), join(folder.path, 'socket')]
  const asRoot = process.getuid?.() === 0 ? ['--user=root'] : []
  let server: ChildProcess | undefined
  try {
    await run('mariadb-install-db', [
      '--no-defaults',
      `--datadir=${data}`,
      '--auth-root-authentication-method=normal',
      '--skip-test-db',
      ...asRoot,
    ])
    const port = await freePort()
    server = spawn(
      'mariadbd',
      [
        '--no-defaults',
        `--datadir=${data}`,
        `--socket=${socket}`,
        `--pid-file=${join(folder.path, 'pid')}`,
        `--port=${port}`,
        '--bind-address=127.0.0.1',
        '--skip-name-resolve',
        '--innodb-flush-log-at-trx-commit=0',
        '--innodb-log-file-size=16M',
        '--character-set-server=utf8mb4',
        ...asRoot,
      ],
      { stdio: 'ignore' },
    )
    const end = endOf(server)
    await listening(port, end)
    return {
      url: `mysql://root@127.0.0.1:${port}`,
      async stop() {
        server?.kill('SIGTERM')
        await end
        await folder.remove()
      },
    }
  } catch (error) {
    server?.kill('SIGKILL')
    await folder.remove()
    throw error
  }
}

/** Settles when the process has ended, and ends it with this one. */
async function endOf(server: ChildProcess): Promise<unknown> {
  const kill = () => void server.kill('SIGKILL')
  process.on('exit', kill)
  try {
    return await once(server, 'exit')
  } finally {
    process.off('exit', kill)
  }
}

/** Waits until somebody answers on the port, for at most ten seconds. */
async function listening(port: number, end: Promise<unknown>): Promise<void> {
  const deadline = performance.now() + 10_000
  while (!(await answers(port))) {
    const ended = await Promise.race([end.then(() => true), new Promise((resolve) => setTimeout(resolve, 20, false))])
    if (ended === true || performance.now() > deadline) throw new Error('MariaDB does not answer')
  }
}

async function answers(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    // The server speaks first.
    await once(socket, 'data')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}
