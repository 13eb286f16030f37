import type { ChangeBatch, Clock, Report } from '@rtapi/core'
import { backOffTime } from './back-off.ts'
import { needsPerson } from './database-link.ts'
import { SetupError } from './setup-error.ts'
import { withinStopTime } from './stopping.ts'
import { Trouble } from './trouble.ts'
import { WakeUp } from './wake-up.ts'

/** What a source is run with. Times are in milliseconds. */
export interface SourceRunOptions {
  /** Between two looks without a wake-up. */
  readonly poll: number
  readonly alarmAfter: number
  readonly clock: Clock
  readonly report: Report
}

/** A connection on which a source works. */
interface SourceSession {
  /** Why it is of no use any more. */
  readonly failure: Error | undefined
  close(): Promise<void>
}

/** What a source does while it runs. */
interface SourceWork<S> {
  open(): Promise<S>
  /** Looks once. Answers whether all is done until the next look; else it is called again, later each time. */
  pass(session: S): Promise<boolean>
  /** The connection is given up. */
  closed?(): void
}

/** What a source has met with since it was started. */
export interface RunStats {
  /** Whether there is a connection to the database. */
  readonly connected: boolean
  /** Transactions announced and taken by the channel layer. */
  readonly transactions: number
  /** Transactions that the layer did not take, at each try. */
  readonly refused: number
  /** How often the connection failed, or could not be made. */
  readonly failures: number
  /** Milliseconds for which changes have not been announced as fast as they came, 0 if all is well. */
  readonly troubledFor: number
}

/** The life of a source: it connects, looks again and again, connects anew when the connection is lost, and ends in time. */
export class SourceRun<S extends SourceSession> {
  readonly trouble: Trouble
  readonly counts = { transactions: 0, refused: 0, failures: 0 }
  readonly #options: SourceRunOptions
  readonly #work: SourceWork<S>
  readonly #wakeUp: WakeUp
  readonly #pauses = new Set<() => void>()
  #emit: (batch: ChangeBatch) => unknown = () => undefined
  #session: S | undefined
  #isStopped = false
  #running: Promise<void> | undefined
  #stopping: Promise<void> | undefined

  constructor(options: SourceRunOptions, work: SourceWork<S>) {
    this.#options = options
    this.#work = work
    this.#wakeUp = new WakeUp(options.clock)
    this.trouble = new Trouble(options)
  }

  /** The connection that there is. */
  get session(): S | undefined {
    return this.#session
  }

  get isStopped(): boolean {
    return this.#isStopped
  }

  /** There is something to look at. */
  readonly wake = (): void => this.#wakeUp.wake()

  /**
   * Connects and begins. A database that cannot be reached is waited for.
   * @throws what only a person can mend: SetupError, TypeError, and errors of PostgreSQL about rights and names.
   */
  async start(emit: (batch: ChangeBatch) => unknown): Promise<void> {
    if (this.#running !== undefined) throw new TypeError('the source has been started already')
    this.#emit = emit
    try {
      await this.#open()
    } catch (error) {
      if (error instanceof SetupError || error instanceof TypeError || needsPerson(error)) throw error
      this.#failed(error)
    }
    this.#running = this.#run()
  }

  /** Waits for what is under way, but no longer than for 2 s. Nothing is emitted afterwards. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  /** Answers whether the channel layer has taken everything. */
  async emit(batch: ChangeBatch): Promise<boolean> {
    try {
      return (await this.#emit(batch)) !== false
    } catch (error) {
      // It must not throw; trying again would do the same.
      this.trouble.tell(error, 'postgres.source')
      return true
    }
  }

  /** Waits after so many failures in a row, or until the source is stopped. */
  backOff(failures: number): Promise<void> {
    return this.pause(backOffTime(failures, this.#options.poll))
  }

  /** Waits so many milliseconds, or until the source is stopped. */
  async pause(delay: number): Promise<void> {
    if (this.#isStopped) return
    await new Promise<void>((resolve) => {
      const end = (): void => {
        this.#pauses.delete(end)
        cancel()
        resolve()
      }
      const cancel = this.#options.clock.setTimer(delay, end)
      this.#pauses.add(end)
    })
  }

  stats(): RunStats {
    return {
      connected: this.#session !== undefined && this.#session.failure === undefined,
      ...this.counts,
      troubledFor: this.trouble.lasts,
    }
  }

  async #stop(): Promise<void> {
    this.#isStopped = true
    this.wake()
    for (const end of this.#pauses) end()
    await withinStopTime(this.#options.clock, this.#running)
    await this.#session?.close()
  }

  async #open(): Promise<S> {
    return (this.#session = await this.#work.open())
  }

  async #run(): Promise<void> {
    let failures = this.#session === undefined ? 1 : 0
    while (!this.#isStopped) {
      try {
        if (failures > 0) await this.backOff(failures)
        if (this.#isStopped) break
        const session = this.#session ?? (await this.#open())
        const isDone = await this.#work.pass(session)
        throwFailure(session)
        if (isDone) {
          failures = 0
          await this.#wakeUp.wait(this.#options.poll)
          throwFailure(session)
        } else failures++
      } catch (error) {
        failures++
        if (!this.#isStopped) this.#failed(error)
        await this.#close()
      }
    }
    await this.#close()
  }

  async #close(): Promise<void> {
    const session = this.#session
    this.#session = undefined
    this.#work.closed?.()
    await session?.close()
  }

  #failed(error: unknown): void {
    this.counts.failures++
    this.trouble.goesOn(error)
  }
}

function throwFailure({ failure }: SourceSession): void {
  if (failure !== undefined) throw failure
}
