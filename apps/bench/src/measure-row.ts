import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { type BenchProcess, LOAD_CORE, SERVER_CORE, startProcess } from './bench-process.ts'
import type {
  Endpoint,
  LoadCommands,
  MemoryUse,
  Seen,
  ServerUsage,
  SharedServices,
  TargetCommands,
} from './commands.ts'
import { type BenchRedis, startBenchRedis } from './measure/bench-redis.ts'
import type { Row } from './rows.ts'
import { type TargetEntry } from './targets.ts'

/** One measurement of one target. */
export interface Sample {
  /** What is compared: microseconds of CPU for each delivery, change or request, or bytes for each socket. */
  readonly cost: number
  /** Deliveries, changes or requests a second. */
  readonly perSecond: number
  /** Socket writes for each of them. */
  readonly writes: number
  readonly latency: Seen['latency']
  /** Bytes of heap for each socket, where memory is measured. */
  readonly heap: number
}

export interface Plan {
  /** How often each target is measured, and how often its memory is, which takes longer. */
  readonly pairs: number
  readonly memoryPairs: number
  /** Milliseconds of each measurement, and of the traffic before the first. */
  readonly milliseconds: number
  readonly warmUp: number
  /** A folder for a CPU profile of each server. */
  readonly profiles: string | undefined
}

const LOAD = new URL('./load/load.ts', import.meta.url)

/** Milliseconds without a delivery after which no more are expected. */
const SILENCE = 300
/** Milliseconds without a delivery after which those that are missing are given up. */
const PATIENCE = 10_000

/** Measures a row: target after target in turn, again and again, so that what disturbs one disturbs all. */
export async function measureRow(
  row: Row,
  entries: ReadonlyMap<string, TargetEntry>,
  { pairs, memoryPairs, milliseconds, warmUp, profiles }: Plan,
): Promise<ReadonlyMap<string, readonly Sample[]>> {
  const samples = new Map([...entries.keys()].map((name) => [name, [] as Sample[]]))
  if (row.unit === 'socket') {
    for (let pair = 0; pair < memoryPairs; pair++) {
      for (const [name, entry] of entries) samples.get(name)?.push(await measureMemory(row, entry))
    }
    return samples
  }
  if (profiles !== undefined) mkdirSync(profiles, { recursive: true })
  const benches = new Map<string, Bench>()
  try {
    for (const [name, entry] of entries) benches.set(name, await Bench.start(row, entry))
    for (const bench of benches.values()) await bench.measure(warmUp)
    for (const bench of benches.values()) if (profiles !== undefined) await bench.startProfile()
    for (let pair = 0; pair < pairs; pair++) {
      for (const [name, bench] of benches) samples.get(name)?.push(await bench.measure(milliseconds))
    }
    for (const [name, bench] of benches) {
      if (profiles !== undefined) await bench.writeProfiles(join(profiles, `${row.name}-${name}`))
    }
    return samples
  } finally {
    for (const bench of benches.values()) await bench.stop()
  }
}

/** A target with its clients, connected and subscribed. */
class Bench {
  private readonly row: Row
  private readonly entry: TargetEntry
  /** The records change in the first; the clients are on the last. */
  private readonly servers: readonly BenchProcess<TargetCommands>[]
  private readonly load: BenchProcess<LoadCommands>
  private readonly redis: BenchRedis | undefined

  private constructor(row: Row, entry: TargetEntry, redis: BenchRedis | undefined) {
    this.row = row
    this.entry = entry
    this.redis = redis
    const count = row.twoProcesses === true ? 2 : 1
    this.servers = Array.from({ length: count }, () => startProcess<TargetCommands>(entry.file, SERVER_CORE))
    this.load = startProcess<LoadCommands>(LOAD, LOAD_CORE)
  }

  static async start(row: Row, entry: TargetEntry): Promise<Bench> {
    const redis = row.twoProcesses === true ? await startBenchRedis() : undefined
    const bench = new Bench(row, entry, redis)
    try {
      await bench.connect(redis?.shared ?? null)
      return bench
    } catch (error) {
      await bench.stop()
      throw error
    }
  }

  private async connect(shared: SharedServices | null): Promise<void> {
    const { workload } = this.row
    let endpoint: Endpoint | undefined
    for (const server of this.servers) endpoint = await server.commands.start(workload, shared)
    if (endpoint !== undefined) await this.load.commands.connect(workload, endpoint, this.entry.dialect)
  }

  async startProfile(): Promise<void> {
    for (const server of this.servers) await server.commands.startProfile()
  }

  /** @param path - without the ending. */
  async writeProfiles(path: string): Promise<void> {
    for (const [i, server] of this.servers.entries()) {
      await server.commands.writeProfile(`${path}${this.servers.length > 1 ? `-${i + 1}` : ''}.cpuprofile`)
    }
  }

  /** What all processes of the target have used since the last call. */
  private async usage(): Promise<ServerUsage> {
    let cpu = (await this.redis?.cpu()) ?? 0
    let writes = 0
    for (const server of this.servers) {
      const usage = await server.commands.usage()
      cpu += usage.cpu
      writes += usage.writes
    }
    return { cpu, writes }
  }

  async measure(milliseconds: number): Promise<Sample> {
    await this.load.commands.seen()
    await this.usage()
    const started = performance.now()
    const { traffic } = this.row.workload
    const work = traffic.type === 'changes' ? await this.change(milliseconds) : await this.request(milliseconds)
    const { cpu, writes } = await this.usage()
    return {
      cost: cpu / work.done,
      perSecond: (work.done / (work.ended - started)) * 1_000,
      writes: writes / work.done,
      latency: work.latency,
      heap: 0,
    }
  }

  private async change(milliseconds: number): Promise<Work> {
    const [server] = this.servers
    if (server === undefined) throw new Error('there is no server')
    const { changes, deliveries, lastAt } = await server.commands.change(milliseconds)
    const { records, following, sockets } = this.row.workload
    const seen =
      this.entry.sendsStates && records === 1 && following.type === 'all'
        ? await this.awaitState(lastAt, changes * sockets)
        : await this.awaitDeliveries(deliveries)
    return { done: this.row.unit === 'change' ? changes : seen.done, ended: seen.ended, latency: seen.latency }
  }

  private async request(milliseconds: number): Promise<Work> {
    const { requests } = await this.load.commands.request(milliseconds)
    const { workload, unit } = this.row
    const ended = performance.now()
    if (unit === 'request') return { done: requests, ended, latency: null }
    const expected = requests * workload.sockets
    // Each write is reflected in the view of each reader, by itself or as part of a later state.
    const { done } = await this.awaitDeliveries(this.entry.sendsStates ? null : expected)
    if (done < workload.sockets || done > expected) throw new Error(`${done} deliveries of ${expected}`)
    return { done: expected, ended, latency: null }
  }

  /** Waits until so many deliveries have arrived and no more come; if their number is not known, until no more come. */
  private async awaitDeliveries(expected: number | null): Promise<Work> {
    let done = 0
    let latency: Seen['latency'] = null
    let ended = performance.now()
    for (; ; await delay(10)) {
      const seen = await this.load.commands.seen()
      done += seen.deliveries
      latency ??= seen.latency
      if (seen.deliveries > 0) ended = performance.now()
      if (expected !== null && done >= expected) break
      if (performance.now() - ended > (expected === null ? SILENCE : PATIENCE)) break
    }
    if (expected !== null && done !== expected)
      throw new Error(`${this.row.name}: ${done} deliveries instead of ${expected}`)
    return { done, ended, latency }
  }

  /** Waits until every socket shows the last state; all changes until then count as delivered by it. */
  private async awaitState(lastAt: number, most: number): Promise<Work> {
    const started = performance.now()
    for (let done = 0; ; await delay(10)) {
      const { deliveries, seenByAll } = await this.load.commands.seen()
      done += deliveries
      if (done > most) throw new Error(`${this.row.name}: ${done} deliveries of ${most} changes`)
      if (seenByAll === lastAt) return { done: most, ended: performance.now(), latency: null }
      if (performance.now() - started > PATIENCE) throw new Error(`${this.row.name}: some never saw the last change`)
    }
  }

  async stop(): Promise<void> {
    // All at once: a server that outlived its clients would be busy with their leaving.
    await Promise.all([this.load, ...this.servers].map((part) => part.stop()))
    await this.redis?.stop()
  }
}

interface Work {
  readonly done: number
  readonly ended: number
  readonly latency: Seen['latency']
}

/** Sockets that are there before the memory of the others is measured: what the first ones need, all share. */
const FIRST_SOCKETS = 500

/** Memory with all sockets less memory with the first of them, in processes of their own. */
async function measureMemory(row: Row, entry: TargetEntry): Promise<Sample> {
  const server = startProcess<TargetCommands>(entry.file, SERVER_CORE)
  const loads = [1, 2].map(() => startProcess<LoadCommands>(LOAD, LOAD_CORE))
  const [first, others] = loads
  try {
    const { workload } = row
    const endpoint = await server.commands.start(workload, null)
    await first?.commands.connect({ ...workload, sockets: FIRST_SOCKETS }, endpoint, entry.dialect)
    const before = await server.commands.memory()
    await others?.commands.connect(workload, endpoint, entry.dialect)
    const after = await server.commands.memory()
    const each = (use: keyof MemoryUse): number => (after[use] - before[use]) / workload.sockets
    return { cost: each('resident'), heap: each('heap'), perSecond: 0, writes: 0, latency: null }
  } finally {
    for (const load of loads) await load.stop()
    await server.stop()
  }
}
