import type { Clock } from '@rtapi/core'

/** Waits between attempts, all of which end at once when the layer closes. */
export class Pauses {
  readonly #clock: Clock
  readonly #wakes = new Set<() => void>()
  #closed = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get closed(): boolean {
    return this.#closed
  }

  /**
   * Waits before an attempt: longer after each failure, at most a second, and differently in each process, so that many
   * do not come back at the same moment.
   * @param failures - in a row, 1 after the first.
   */
  beforeAttempt(failures: number): Promise<void> {
    const most = Math.min(1_000, 25 * 2 ** Math.min(failures, 10))
    return this.wait(most / 2 + Math.random() * (most / 2))
  }

  wait(delay: number): Promise<void> {
    if (this.#closed) return Promise.resolve()
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#wakes.delete(wake)
        cancel()
        resolve()
      }
      const cancel = this.#clock.setTimer(delay, wake)
      this.#wakes.add(wake)
    })
  }

  close(): void {
    this.#closed = true
    for (const wake of this.#wakes) wake()
  }
}
