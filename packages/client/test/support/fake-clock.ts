import type { ClientClock } from '../../src/client-clock.ts'

/** A clock that stands still until it is told otherwise. */
export class FakeClock implements ClientClock {
  #now = 0
  #lastTimer = 0
  readonly #timers = new Map<number, { readonly at: number; readonly run: () => void }>()

  /** Timers that are set. */
  get timers(): number {
    return this.#timers.size
  }

  monotonic(): number {
    return this.#now
  }

  setTimer(delay: number, run: () => void): () => void {
    const id = ++this.#lastTimer
    this.#timers.set(id, { at: this.#now + delay, run })
    return () => void this.#timers.delete(id)
  }

  /** Lets milliseconds pass; timers run when they are due, those that they set as well. */
  advance(milliseconds: number): void {
    const until = this.#now + milliseconds
    for (;;) {
      const due = [...this.#timers].filter(([, { at }]) => at <= until).toSorted(([, a], [, b]) => a.at - b.at)[0]
      if (due === undefined) break
      const [id, { at, run }] = due
      this.#timers.delete(id)
      this.#now = Math.max(this.#now, at)
      run()
    }
    this.#now = until
  }

  /** Milliseconds until the next timer. */
  get next(): number | undefined {
    const times = [...this.#timers.values()].map(({ at }) => at - this.#now)
    return times.length === 0 ? undefined : Math.min(...times)
  }
}
