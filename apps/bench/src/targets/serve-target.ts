import { once } from 'node:events'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { answerCalls } from '../bench-process.ts'
import type { Endpoint, MemoryUse, ServerUsage, SharedServices, TargetCommands } from '../commands.ts'
import { startProfile, writeProfile } from '../measure/cpu-profile.ts'
import { countSocketWrites } from '../measure/socket-writes.ts'
import { type Workload, microseconds, randomFrom, shuffled } from '../workload.ts'

/** A server that is measured. */
export interface Target {
  start(workload: Workload, shared: SharedServices | null): Promise<Endpoint>
  /** Changes these records, all in this tick; `at` is what each carries as the time of its change. */
  change(keys: readonly number[], at: number): void
}

/** Makes the current process the server of a target. */
export function serveTarget(target: Target): void {
  const socketWrites = countSocketWrites()
  let workload: Workload | undefined
  let nextKeys: (count: number) => readonly number[] = () => []
  let usedCpu = cpuTime()
  let usedWrites = 0
  const commands: TargetCommands = {
    start(given, shared) {
      workload = given
      nextKeys = keySource(given.records)
      return target.start(given, shared)
    },
    async change(milliseconds) {
      const traffic = workload?.traffic
      if (workload === undefined || traffic?.type !== 'changes') throw new Error('this row changes nothing by itself')
      const followers = followersOfEach(workload)
      let changes = 0
      let lastAt = 0
      for (const end = performance.now() + milliseconds; performance.now() < end;) {
        const next = delay(traffic.interval)
        lastAt = microseconds()
        target.change(nextKeys(traffic.atOnce), lastAt)
        changes += traffic.atOnce
        await next
      }
      return { changes, deliveries: followers === null ? null : changes * followers, lastAt }
    },
    usage(): Promise<ServerUsage> {
      const [cpu, writes] = [cpuTime(), socketWrites()]
      const usage = { cpu: cpu - usedCpu, writes: writes - usedWrites }
      usedCpu = cpu
      usedWrites = writes
      return Promise.resolve(usage)
    },
    async memory(): Promise<MemoryUse> {
      // Several, with pauses: pages go back to the system only some time after the collection.
      for (let i = 0; i < 4; i++) {
        globalThis.gc?.({ type: 'major', execution: 'sync', flavor: 'last-resort' })
        await delay(200)
      }
      const { rss, heapUsed, external } = process.memoryUsage()
      return { resident: rss, heap: heapUsed + external }
    },
    startProfile,
    writeProfile,
  }
  answerCalls(commands)
}

function cpuTime(): number {
  const { user, system } = process.cpuUsage()
  return user + system
}

/** Walks through all records in an order of no meaning, so that those of one tick are different ones. */
function keySource(records: number): (count: number) => readonly number[] {
  const keys = shuffled(records, randomFrom(2))
  let position = 0
  return (count) => {
    const taken = Array.from({ length: count }, (_, i) => keys[(position + i) % records] ?? 0)
    position = (position + count) % records
    return taken
  }
}

function followersOfEach({ following, sockets, records }: Workload): number | null {
  if (following.type === 'all') return sockets
  if (following.type === 'records') return (sockets * following.each) / records
  return following.type === 'nothing' ? 0 : null
}

/** Listens on a free port of this machine alone; answers its number. */
export async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}
