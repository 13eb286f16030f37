import type { Clock, Report } from './runtime.ts'

/** Milliseconds for which work that can be interrupted goes on before the event loop has its turn. */
const SLICE = 20

/**
 * Divides long work into slices, so that a view of ten thousand rows keeps nobody else waiting. All long work of an API
 * shares one slice in each turn of the event loop. Short work does not ask.
 */
export class Pace {
  readonly #clock: Clock
  readonly #report: Report
  /** When the first asked in this turn of the event loop: monotonic milliseconds. */
  #began: number | undefined
  #waiting: (() => void)[] = []

  constructor(clock: Clock, report: Report) {
    this.#clock = clock
    this.#report = report
  }

  /** Whether it is time to wait for the next turn. */
  get isOver(): boolean {
    const now = this.#clock.monotonic()
    if (this.#began !== undefined) return now - this.#began >= SLICE
    this.#begin(now)
    return false
  }

  /** Settles in the next turn of the event loop, after what is ready there. */
  turn(): Promise<void> {
    return new Promise((go) => this.later(go))
  }

  /** Runs this in the next turn. What it throws is reported. */
  later(run: () => void): void {
    if (this.#began === undefined) this.#begin(this.#clock.monotonic())
    this.#waiting.push(run)
  }

  #begin(now: number): void {
    this.#began = now
    this.#clock.defer(this.#next)
  }

  readonly #next = (): void => {
    this.#began = undefined
    const waiting = this.#waiting
    this.#waiting = []
    for (const run of waiting) {
      try {
        run()
      } catch (error) {
        this.#report(error, { during: 'later' })
      }
    }
  }
}
