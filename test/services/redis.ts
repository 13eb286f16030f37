import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type Service, freePort, scratchFolder } from './service.ts'

const run = promisify(execFile)

export interface RedisOptions {
  /** Further settings, as in a configuration file: `{ appendonly: 'yes' }`. */
  readonly config?: Readonly<Record<string, string>>
  /** Lines of a sentinel's configuration: it starts as one. */
  readonly sentinel?: readonly string[]
}

/** A Redis that a test has to itself, in a folder of its own on a port of its own. */
export interface RedisServer extends Service {
  readonly port: number
  /** Sends a command over a connection of its own, to wherever a cluster keeps the key, and answers what `redis-cli --json` does. */
  command(...args: readonly string[]): Promise<unknown>
  /** Ends the process at once, as `kill -9` does; its files stay. */
  kill(): Promise<void>
  /** Starts it anew on the same port with the same files. */
  start(): Promise<void>
  /** The process stands still: connections stay open and nothing is answered. */
  freeze(): void
  thaw(): void
}

/** Masters of one cluster, all slots among them. */
export interface RedisCluster {
  readonly masters: readonly RedisServer[]
  /** Starts a replica of a master, and waits until it has what the master has. */
  addReplica(master: RedisServer): Promise<RedisServer>
  stop(): Promise<void>
}

/**
 * Starts the Redis that is installed on this machine, without persistence unless the options say otherwise.
 * @throws Error with the code `ENOENT` if none is.
 */
export async function startRedis({ config = {}, sentinel }: RedisOptions = {}): Promise<RedisServer> {
  const folder = await scratchFolder('redis')
  const port = await freePort()
  const settings = { port: String(port), bind: '127.0.0.1', dir: folder.path, save: '', ...config }
  const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value])
  let server: ChildProcess | undefined

  const killWithThis = () => void server?.kill('SIGKILL')

  async function start(): Promise<void> {
    server = spawn('redis-server', sentinel === undefined ? args : [await sentinelFile(), '--sentinel', ...args], {
      stdio: 'ignore',
    })
    process.on('exit', killWithThis)
    await once(server, 'spawn')
    await answering(port, server)
  }

  async function sentinelFile(): Promise<string> {
    const file = join(folder.path, 'sentinel.conf')
    await writeFile(file, (sentinel ?? []).join('\n'))
    return file
  }

  async function kill(): Promise<void> {
    const running = server
    server = undefined
    process.off('exit', killWithThis)
    if (running === undefined || running.exitCode !== null || running.signalCode !== null) return
    const exit = once(running, 'exit')
    running.kill('SIGKILL')
    await exit
  }

  async function stop(): Promise<void> {
    await kill()
    await folder.remove()
  }

  try {
    await start()
  } catch (error) {
    await stop()
    throw error
  }
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    command: (...command) => send(port, command),
    start,
    kill,
    stop,
    freeze: () => void server?.kill('SIGSTOP'),
    thaw: () => void server?.kill('SIGCONT'),
  }
}

/** Starts a cluster of masters, and waits until each knows all. */
export async function startRedisCluster(count: number): Promise<RedisCluster> {
  const masters = await Promise.all(Array.from({ length: count }, startClusterNode))
  const replicas: RedisServer[] = []
  const stop = async () => void (await Promise.all([...masters, ...replicas].map((server) => server.stop())))
  const [first, ...others] = masters
  if (first === undefined) throw new Error('a cluster has a master at least')
  try {
    await Promise.all(
      masters.map((master, i) => {
        const [from = 0, to = 0] = [i, i + 1].map((n) => Math.floor((n * SLOTS) / count))
        return master.command('CLUSTER', 'ADDSLOTSRANGE', String(from), String(to - 1))
      }),
    )
    await Promise.all(others.map((other) => meet(other, first)))
    await Promise.all(masters.map((master) => until(10_000, async () => isWhole(master, count))))
  } catch (error) {
    await stop()
    throw error
  }
  return {
    masters,
    stop,
    async addReplica(master) {
      const replica = await startClusterNode()
      replicas.push(replica)
      await meet(replica, master)
      await until(10_000, async () => isWhole(replica, count + replicas.length))
      await replica.command('CLUSTER', 'REPLICATE', String(await master.command('CLUSTER', 'MYID')))
      await until(10_000, async () =>
        String(await replica.command('INFO', 'replication')).includes('master_link_status:up'),
      )
      // The others must know as well, or else they will not vote for it.
      await until(10_000, async () => {
        const views = await Promise.all(masters.map((other) => other.command('CLUSTER', 'NODES')))
        return views.every((nodes) => String(nodes).includes('slave'))
      })
      return replica
    },
  }
}

async function startClusterNode(): Promise<RedisServer> {
  const bus = String(await freePort())
  return startRedis({
    config: {
      'cluster-enabled': 'yes',
      'cluster-port': bus,
      'cluster-node-timeout': '500',
      'repl-diskless-sync-delay': '0',
    },
  })
}

async function meet(one: RedisServer, other: RedisServer): Promise<void> {
  const answer = await other.command('CONFIG', 'GET', 'cluster-port')
  const { 'cluster-port': bus = '' } = answer as Record<string, string>
  await one.command('CLUSTER', 'MEET', '127.0.0.1', String(other.port), bus)
}

const SLOTS = 16_384

async function isWhole(server: RedisServer, count: number): Promise<boolean> {
  const text = String(await server.command('CLUSTER', 'INFO'))
  return text.includes('cluster_state:ok') && text.includes(`cluster_known_nodes:${count}`)
}

async function answering(port: number, server: ChildProcess): Promise<void> {
  await until(10_000, async () => {
    if (server.exitCode !== null) throw new Error(`Redis ended with ${server.exitCode}`)
    const answer = await send(port, ['PING']).catch(() => undefined)
    return answer === 'PONG'
  })
}

async function send(port: number, command: readonly string[]): Promise<unknown> {
  const { stdout } = await run('redis-cli', ['-c', '-p', String(port), '--json', '-e', ...command])
  try {
    return JSON.parse(stdout) as unknown
  } catch {
    // What is meant for reading, such as INFO, comes as it is.
    return stdout
  }
}

/** Looks again and again; for what happens in other processes there is nothing to wait for. */
async function until(timeout: number, isSo: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + timeout
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(`Redis is not ready after ${timeout} ms`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
