import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { startRedis } from '../../../../test/services/redis.ts'
import { scratchFolder } from '../../../../test/services/service.ts'
import { SERVER_CORE, pinning } from '../bench-process.ts'
import type { SharedServices } from '../commands.ts'

/** A Redis of its own for the processes of one target, and a folder for their files. */
export interface BenchRedis {
  readonly shared: SharedServices
  /** Microseconds of user and system time since the last call. */
  cpu(): Promise<number>
  stop(): Promise<void>
}

const run = promisify(execFile)

/** @throws Error that says what to install if there is no Redis on this machine. */
export async function startBenchRedis(): Promise<BenchRedis> {
  const server = await startRedis().catch((error: unknown) => {
    const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT'
    throw isMissing ? new Error(MISSING, { cause: error }) : error
  })
  const folder = await scratchFolder('bench')
  const info = async (section: string): Promise<ReadonlyMap<string, string>> => {
    const lines = String(await server.command('INFO', section)).split(/\r?\n/)
    return new Map(lines.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]))
  }
  const used = async (): Promise<number> => {
    const cpu = await info('cpu')
    return (Number(cpu.get('used_cpu_user')) + Number(cpu.get('used_cpu_sys'))) * 1e6
  }
  if (pinning) {
    const pid = (await info('server')).get('process_id') ?? ''
    await run('taskset', ['-a', '-c', '-p', String(SERVER_CORE), pid])
  }
  let before = await used()
  return {
    shared: { redis: server.url, folder: folder.path },
    async cpu() {
      const now = await used()
      const since = now - before
      before = now
      return since
    },
    async stop() {
      await server.stop()
      await folder.remove()
    },
  }
}

const MISSING =
  'Rows of two processes need Redis 7 or newer, and `redis-server` and `redis-cli` are not in the path: install them ' +
  '(Debian, Ubuntu: `apt-get install redis-server`; macOS: `brew install redis`), or leave these rows out with `--rows`.'
