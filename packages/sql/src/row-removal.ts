import type { Clock } from '@rtapi/core'

/** Milliseconds for which rows are gathered, so that many are removed at once. */
const GATHER = 100
/** Milliseconds until rows that could not be removed are tried again. */
const RETRY = 1_000
/** How many rows are removed by one statement. */
const AT_ONCE = 500
/** How many rows may wait; others are left to whoever finds them, and announced once more. */
const MOST = 20_000

/** What the removal needs around it. */
export interface RowRemovalOptions {
  readonly clock: Clock
  remove(ids: readonly string[]): Promise<void>
  /** Rows could not be removed; told once until it works again. */
  failed(error: unknown): void
}

/** Removes rows of the outbox which have been announced, some time later and many at once. */
export class RowRemoval {
  readonly #options: RowRemovalOptions
  readonly #ids = new Set<string>()
  #cancel: (() => void) | undefined
  #running: Promise<void> | undefined
  #isFailing = false
  #isStopped = false

  constructor(options: RowRemovalOptions) {
    this.#options = options
  }

  /** Whether the row has been announced and is to be removed. */
  has(id: string): boolean {
    return this.#ids.has(id)
  }

  /** The row has been announced. */
  add(id: string): void {
    if (this.#ids.size >= MOST) return
    this.#ids.add(id)
    if (this.#running === undefined) this.#schedule(this.#ids.size === AT_ONCE ? 0 : GATHER)
  }

  /** The rows have been removed by somebody else. */
  forget(ids: readonly string[]): void {
    for (const id of ids) this.#ids.delete(id)
  }

  /** Removes what is left, once. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#cancel?.()
    await this.#running
    while (this.#ids.size > 0 && !this.#isFailing) await this.#removeSome()
  }

  #schedule(delay: number): void {
    if (this.#isStopped || (this.#cancel !== undefined && delay > 0)) return
    this.#cancel?.()
    this.#cancel = this.#options.clock.setTimer(delay, () => {
      this.#cancel = undefined
      this.#running ??= this.#removeSome().finally(() => {
        this.#running = undefined
        if (this.#ids.size > 0) this.#schedule(this.#isFailing ? RETRY : GATHER)
      })
    })
  }

  async #removeSome(): Promise<void> {
    const ids = [...this.#ids].slice(0, AT_ONCE)
    try {
      await this.#options.remove(ids)
      this.forget(ids)
      this.#isFailing = false
    } catch (error) {
      // At the end nobody need know: others find the rows.
      if (!this.#isFailing && !this.#isStopped) this.#options.failed(error)
      this.#isFailing = true
    }
  }
}
