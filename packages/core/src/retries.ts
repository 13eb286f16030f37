import type { Clock } from './runtime.ts'

/** What is to be tried again after a while, at most once for each owner. */
export class Retries<T> {
  readonly #clock: Clock
  readonly #delay: number
  readonly #timers = new Map<T, () => void>()
  #closed = false

  /** @param delay - milliseconds. */
  constructor(clock: Clock, delay: number) {
    this.#clock = clock
    this.#delay = delay
  }

  get size(): number {
    return this.#timers.size
  }

  /** An owner that waits already goes on waiting for what it was to do. */
  set(owner: T, run: () => void): void {
    if (this.#closed || this.#timers.has(owner)) return
    const cancel = this.#clock.setTimer(this.#delay, () => {
      this.#timers.delete(owner)
      run()
    })
    this.#timers.set(owner, cancel)
  }

  cancel(owner: T): void {
    this.#timers.get(owner)?.()
    this.#timers.delete(owner)
  }

  /** From now on nothing is tried again. */
  close(): void {
    this.#closed = true
    for (const cancel of this.#timers.values()) cancel()
    this.#timers.clear()
  }
}
