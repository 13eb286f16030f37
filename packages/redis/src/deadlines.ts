import { type Clock, RtapiError } from '@rtapi/core'

interface Waiting {
  readonly due: number
  readonly reject: (error: Error) => void
  readonly what: string
}

/** Ends every wait after the same time. One timer serves them all, since the first to begin is the first to end. */
export class Deadlines {
  /** Milliseconds. */
  readonly delay: number
  readonly #clock: Clock
  readonly #waiting = new Set<Waiting>()
  #cancel: (() => void) | undefined
  #closed: Error | undefined

  constructor(clock: Clock, delay: number) {
    this.#clock = clock
    this.delay = delay
  }

  /**
   * Settles with the work, or rejects when the time is up; what the work brings after that is ignored.
   * @param what - for the message: `'Redis did not <what> within …'`.
   */
  run<T>(what: string, work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#closed !== undefined) {
        work.catch(() => undefined)
        return reject(this.#closed)
      }
      const waiting = { due: this.#clock.monotonic() + this.delay, reject, what }
      this.#waiting.add(waiting)
      if (this.#cancel === undefined) this.#arm(this.delay)
      work.then(
        (value) => {
          this.#waiting.delete(waiting)
          resolve(value)
        },
        (error: unknown) => {
          this.#waiting.delete(waiting)
          reject(error instanceof Error ? error : new Error(String(error)))
        },
      )
    })
  }

  /** Rejects all that waits, and all that begins from now on. */
  close(error: Error): void {
    this.#closed = error
    this.#cancel?.()
    this.#cancel = undefined
    for (const { reject } of this.#waiting) reject(error)
    this.#waiting.clear()
  }

  #arm(delay: number): void {
    this.#cancel = this.#clock.setTimer(delay, () => {
      this.#cancel = undefined
      const now = this.#clock.monotonic()
      for (const waiting of this.#waiting) {
        if (waiting.due > now) return this.#arm(waiting.due - now)
        this.#waiting.delete(waiting)
        waiting.reject(new RtapiError('unavailable', `Redis did not ${waiting.what} within ${this.delay} ms`))
      }
    })
  }
}
