import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { startPostgres } from './services/postgres.ts'

/** What an ORM writes with: nothing of ours, captures, or captures with an outbox. */
export type CaptureMode = 'alone' | 'captures' | 'outbox'

type Writes = Readonly<Record<string, () => Promise<unknown>>>

/** Writes that are timed together, and what a quarter of them are quicker than is taken: else the machine is busy. */
const TOGETHER = 10
/** How often each process is started. */
const TURNS = 4

/**
 * Prints what captures and the outbox cost plain writes on PostgreSQL, as ratios of the time of a write to that of the ORM
 * alone. The server is on the same machine and without fsync, where the share is largest. Each ORM writes in processes of
 * its own, in turn, as applications have one: in one process the compiler would mix them up.
 * @param program - the file that calls this. It is run again with arguments, and then writes.
 * @param open - opens an empty database of the server; answers the kinds of writes.
 */
export async function compareWriteCosts(
  program: string,
  open: (server: string, mode: CaptureMode) => Promise<Writes>,
): Promise<never> {
  const [server, mode, kind, count] = process.argv.slice(2)
  if (server?.includes(':') === true) {
    const writes = await open(server, mode as CaptureMode)
    console.log(JSON.stringify(kind === undefined ? Object.keys(writes) : await time(writes[kind], Number(count))))
    process.exit()
  }
  const service = await startPostgres()
  const child = async (...args: readonly string[]): Promise<unknown> => {
    const { stdout } = await promisify(execFile)(process.execPath, ['--conditions=rtapi-source', program, ...args])
    return JSON.parse(stdout)
  }
  for (const name of (await child(service.url, 'alone')) as readonly string[]) {
    const times: Record<CaptureMode, number> = { alone: 0, captures: 0, outbox: 0 }
    const modes = Object.keys(times) as CaptureMode[]
    for (let turn = 0; turn < TURNS; turn++) {
      modes.push(...modes.splice(0, 1))
      for (const one of modes) times[one] += Number(await child(service.url, one, name, server ?? '4000')) / TURNS
    }
    const ratio = (of: CaptureMode): string => (times[of] / times.alone).toFixed(2)
    console.log(
      `${name}: ${times.alone.toFixed(3)} ms alone, captures × ${ratio('captures')}, with the outbox × ${ratio('outbox')}`,
    )
  }
  await service.stop()
  process.exit()
}

/** Milliseconds of one write, once it has been made often enough to be compiled. */
async function time(write: (() => Promise<unknown>) | undefined, count: number): Promise<number> {
  if (write === undefined) throw new Error('there is no such write')
  for (let i = 0; i < count / 2; i++) await write()
  const times: number[] = []
  for (let i = 0; i < count; i += TOGETHER) {
    const start = performance.now()
    for (let j = 0; j < TOGETHER; j++) await write()
    times.push((performance.now() - start) / TOGETHER)
  }
  return times.toSorted((a, b) => a - b)[Math.floor(times.length / 4)] ?? 0
}
