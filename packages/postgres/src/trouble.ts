import type { Clock, Report } from '@rtapi/core'

/** What trouble is measured and told with. */
interface TroubleOptions {
  /** Milliseconds after which trouble is told of. */
  readonly alarmAfter: number
  readonly clock: Clock
  readonly report: Report
}

/** Since when changes cannot be announced; tells of it once when that lasts, and of the error that an outage begins with. */
export class Trouble {
  readonly #options: TroubleOptions
  #since: number | undefined
  #hasAlarmed = false
  #hasTold = false

  constructor(options: TroubleOptions) {
    this.#options = options
  }

  /** Milliseconds, 0 if all is well. */
  get lasts(): number {
    return this.#since === undefined ? 0 : this.#options.clock.monotonic() - this.#since
  }

  /** Changes cannot be announced now, or not as fast as they come. An error is told of if it is the first. */
  goesOn(error?: unknown, since: number = this.#options.clock.monotonic()): void {
    this.#since ??= since
    if (error !== undefined && !this.#hasTold) {
      this.#hasTold = true
      this.tell(error, 'postgres.source')
    }
    if (this.lasts < this.#options.alarmAfter || this.#hasAlarmed) return
    this.#hasAlarmed = true
    const seconds = Math.round(this.lasts / 1_000)
    this.tell(new Error(`changes of PostgreSQL have not been announced for ${seconds} s`), 'postgres.lag')
  }

  isOver(): void {
    this.#since = undefined
    this.#hasAlarmed = false
    this.#hasTold = false
  }

  /** Reports; a report must not throw, and if it does there is nobody left to tell. */
  tell(error: unknown, during: string): void {
    try {
      this.#options.report(error, { during })
    } catch {
      // See above.
    }
  }
}
