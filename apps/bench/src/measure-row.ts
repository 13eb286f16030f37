import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { type BenchProcess, startProcess } from './bench-process.ts'
import type { LoadCommands, MemoryUse, Seen, TargetCommands } from './commands.ts'
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
      if (profiles !== undefined) await bench.writeProfile(join(profiles, `${row.name}-${name}.cpuprofile`))
    }
    return samples
  } finally {
    for (const bench of benches.values()) await bench.stop()
  }
}

/** A target with its clients, connected and subscribed. */
class Bench {
  private readonly row: Row
  private readonly server: BenchProcess<TargetCommands>
  private readonly load: BenchProcess<LoadCommands>

  private constructor(row: Row, server: BenchProcess<TargetCommands>, load: BenchProcess<LoadCommands>) {
    this.row = row
    this.server = server
    this.load = load
  }

  static async start(row: Row, entry: TargetEntry): Promise<Bench> {
    const server = startProcess<TargetCommands>(entry.file, 0)
    const load = startProcess<LoadCommands>(LOAD, 1)
    const bench = new Bench(row, server, load)
    try {
      const endpoint = await server.commands.start(row.workload)
      await load.commands.connect(row.workload, endpoint, entry.dialect)
      return bench
    } catch (error) {
      await bench.stop()
      throw error
    }
  }

  startProfile(): Promise<void> {
    return this.server.commands.startProfile()
  }

  writeProfile(file: string): Promise<void> {
    return this.server.commands.writeProfile(file)
  }

  async measure(milliseconds: number): Promise<Sample> {
    await this.load.commands.seen()
    await this.server.commands.usage()
    const started = performance.now()
    const { traffic } = this.row.workload
    const work = traffic.type === 'changes' ? await this.change(milliseconds) : await this.request(milliseconds)
    const { cpu, writes } = await this.server.commands.usage()
    return {
      cost: cpu / work.done,
      perSecond: (work.done / (work.ended - started)) * 1_000,
      writes: writes / work.done,
      latency: work.latency,
      heap: 0,
    }
  }

  private async change(milliseconds: number): Promise<Work> {
    const { changes, deliveries } = await this.server.commands.change(milliseconds)
    const seen = await this.awaitDeliveries(deliveries)
    const done = this.row.unit === 'change' ? changes : seen.deliveries
    return { done, ended: seen.ended, latency: seen.latency }
  }

  private async request(milliseconds: number): Promise<Work> {
    const { requests } = await this.load.commands.request(milliseconds)
    const { workload, unit } = this.row
    const ended = performance.now()
    const seen = await this.awaitDeliveries(null)
    // Each write is reflected in the view of each reader, by itself or as part of a later state.
    if (unit === 'delivery' && seen.deliveries < workload.sockets) throw new Error('a reader has seen nothing')
    return { done: unit === 'delivery' ? requests * workload.sockets : requests, ended, latency: null }
  }

  /** Waits until so many deliveries have arrived, or, if their number is not known, until no more come. */
  private async awaitDeliveries(expected: number | null): Promise<{ deliveries: number; ended: number } & Work> {
    let deliveries = 0
    let latency: Seen['latency'] = null
    for (let last = performance.now(); ; await delay(10)) {
      const seen = await this.load.commands.seen()
      deliveries += seen.deliveries
      latency ??= seen.latency
      if (seen.deliveries > 0) last = performance.now()
      if (expected !== null && deliveries >= expected) break
      if (performance.now() - last > (expected === null ? SILENCE : 10_000)) break
    }
    const ended = performance.now()
    if (expected !== null && deliveries !== expected)
      throw new Error(`${this.row.name}: ${deliveries} deliveries instead of ${expected}`)
    return { deliveries, ended, latency, done: deliveries }
  }

  async stop(): Promise<void> {
    await this.load.stop()
    await this.server.stop()
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
  const server = startProcess<TargetCommands>(entry.file, 0)
  const loads = [1, 2].map(() => startProcess<LoadCommands>(LOAD, 1))
  const [first, others] = loads
  try {
    const { workload } = row
    const endpoint = await server.commands.start(workload)
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
