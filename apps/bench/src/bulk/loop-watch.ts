import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as delay } from 'node:timers/promises'
import type { Strain } from './bulk-commands.ts'

const LONG = 50

/** Watches how long the event loop of this process is blocked at a time, and how much memory it takes. */
export class LoopWatch {
  readonly #delays = monitorEventLoopDelay({ resolution: 1 })
  #sampler: ReturnType<typeof setInterval> | undefined
  #before = 0
  #peak = 0
  #busiest = 0
  #long = 0

  async start(): Promise<void> {
    this.#before = await heapAfterCollection()
    this.#peak = this.#before
    this.#delays.enable()
    let last = usedByThread()
    await delay(20)
    this.#delays.reset()
    this.#busiest = 0
    this.#long = 0
    // It comes in every turn of the loop that takes a millisecond.
    this.#sampler = setInterval(() => {
      this.#peak = Math.max(this.#peak, process.memoryUsage().heapUsed)
      const now = usedByThread()
      const used = now - last
      last = now
      this.#busiest = Math.max(this.#busiest, used)
      if (used > LONG) this.#long++
    }, 1)
  }

  async stop(): Promise<Strain> {
    // What was late is counted when the next timer comes.
    await delay(20)
    this.#delays.disable()
    clearInterval(this.#sampler)
    const [longest, busiest, long] = [this.#delays.max / 1e6, this.#busiest, this.#long]
    const [before, peak, after] = [this.#before, this.#peak, await heapAfterCollection()].map(
      (bytes) => bytes / 2 ** 20,
    )
    return { longest, busiest, long, heap: [before ?? 0, peak ?? 0, after ?? 0] }
  }
}

/** Milliseconds. */
function usedByThread(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1_000
}

async function heapAfterCollection(): Promise<number> {
  for (let i = 0; i < 2; i++) {
    globalThis.gc?.()
    await delay(50)
  }
  return process.memoryUsage().heapUsed
}
