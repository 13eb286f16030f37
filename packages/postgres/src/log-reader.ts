import { type ChangeBatch, type Clock, type Report, RtapiError } from '@rtapi/core'
import { backOffTime } from './back-off.ts'
import { needsPerson } from './database-link.ts'
import { LogSession, type LogSessionOptions } from './log-session.ts'
import type { LogTransaction } from './log-transactions.ts'
import { type SlotStatus, slotStatus } from './replication-status.ts'
import { SetupError } from './setup-error.ts'
import { withinStopTime } from './stopping.ts'
import { Trouble } from './trouble.ts'
import { WakeUp } from './wake-up.ts'

/** What a reader is set up with. Times are in milliseconds. */
export interface LogReaderOptions extends Omit<LogSessionOptions, 'wake' | 'announce'> {
  readonly poll: number
  readonly alarmAfter: number
  /** Bytes. */
  readonly alarmLag: number
  readonly report: Report
}

/** What a reader of the log has met with since it was started. */
export interface LogStats {
  /** Whether there is a connection to the database. */
  readonly connected: boolean
  /** Whether it is this reader to which the log comes. */
  readonly leader: boolean
  /** Transactions announced and taken by the channel layer. */
  readonly transactions: number
  /** Transactions that the layer did not take, at each try. */
  readonly refused: number
  /** How often the connection failed, or could not be made. */
  readonly failures: number
  /** How often the slot had to be made, so that everything was announced as changed. */
  readonly newSlots: number
  /** Milliseconds for which changes have not been announced, 0 if all is well. */
  readonly troubledFor: number
}

/** Reads the log of the database by a slot, to which one reader is connected at a time. */
export class LogReader {
  readonly #options: LogReaderOptions
  readonly #wakeUp: WakeUp
  readonly #trouble: Trouble
  readonly #counts = { transactions: 0, refused: 0, failures: 0, newSlots: 0 }
  readonly #pauses = new Set<() => void>()
  #emit: (batch: ChangeBatch) => unknown = () => undefined
  #session: LogSession | undefined
  #running: Promise<void> | undefined
  #stopping: Promise<void> | undefined
  #stopped = false
  #isFarBehind = false

  constructor(options: LogReaderOptions) {
    this.#options = options
    this.#wakeUp = new WakeUp(options.clock)
    this.#trouble = new Trouble(options)
  }

  /**
   * Connects and begins. A database that cannot be reached is waited for.
   * @throws what only a person can mend: SetupError, TypeError, and errors of PostgreSQL about rights and names.
   */
  async start(emit: (batch: ChangeBatch) => unknown): Promise<void> {
    if (this.#running !== undefined) throw new TypeError('the source has been started already')
    this.#emit = emit
    let session: LogSession | undefined
    try {
      session = await this.#open()
    } catch (error) {
      if (error instanceof SetupError || error instanceof TypeError || needsPerson(error)) throw error
      this.#failed(error)
    }
    this.#running = this.#run(session)
  }

  /** Waits for what is under way, but no longer than for 2 s. Nothing is emitted afterwards. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  /** @throws RtapiError `unavailable` without a connection or a slot. */
  async lag(): Promise<SlotStatus> {
    const { slot } = this.#options.place
    const status = this.#session === undefined ? undefined : await slotStatus(this.#session.client, slot)
    if (status === undefined) throw new RtapiError('unavailable', 'PostgreSQL is not connected')
    return status
  }

  stats(): LogStats {
    return {
      connected: this.#session !== undefined && this.#session.failure === undefined,
      leader: this.#session?.isReading === true,
      ...this.#counts,
      troubledFor: this.#trouble.lasts,
    }
  }

  get #clock(): Clock {
    return this.#options.clock
  }

  async #stop(): Promise<void> {
    this.#stopped = true
    this.#wakeUp.wake()
    for (const end of this.#pauses) end()
    await withinStopTime(this.#clock, this.#running)
    await this.#session?.close()
  }

  async #open(): Promise<LogSession> {
    const session = await LogSession.open({
      ...this.#options,
      wake: () => this.#wakeUp.wake(),
      announce: (transaction) => this.#announce(transaction),
    })
    this.#session = session
    if (session.isNewSlot) {
      this.#counts.newSlots++
      const { slot } = this.#options.place
      const message = `the replication slot '${slot}' was not there, or had been lost, and was made: everything may have changed`
      this.#trouble.tell(new SetupError('slot_lost', message), 'postgres.source')
    }
    return session
  }

  async #run(first: LogSession | undefined): Promise<void> {
    let session = first
    let failures = first === undefined ? 1 : 0
    while (!this.#stopped) {
      try {
        if (failures > 0) await this.#pause(backOffTime(failures, this.#options.poll))
        if (this.#stopped) break
        session ??= await this.#open()
        const status = await session.look()
        session.read(status)
        this.#watch(status)
        session.throwFailure()
        failures = 0
        await this.#wakeUp.wait(this.#options.poll)
        session.throwFailure()
      } catch (error) {
        failures++
        if (!this.#stopped) this.#failed(error)
        await this.#close(session)
        session = undefined
      }
    }
    await this.#close(session)
  }

  async #close(session: LogSession | undefined): Promise<void> {
    this.#session = undefined
    await session?.close()
  }

  /** Tells of a slot that falls behind: the server throws away what it keeps for it, or fills its disk. */
  #watch({ lag, log }: SlotStatus): void {
    const { alarmLag, place } = this.#options
    const isFarBehind = lag > alarmLag || log === 'unreserved'
    if (isFarBehind && !this.#isFarBehind) {
      const error = new Error(`the replication slot '${place.slot}' is ${lag} bytes behind; the server calls it ${log}`)
      this.#trouble.tell(error, 'postgres.lag')
    }
    this.#isFarBehind = isFarBehind
    if (this.#refusing === 0) this.#trouble.isOver()
    else this.#trouble.goesOn()
  }

  /** Transactions that the layer has refused, and which are tried again. */
  #refusing = 0

  /** Announces until the layer takes it; `false` if the connection, or the source, has ended before. */
  async #announce({ changes }: LogTransaction): Promise<boolean> {
    const batch = changes.batch()
    const session = this.#session
    if (batch.changes.length === 0) return true
    let refusals = 0
    try {
      while (!this.#stopped && session === this.#session) {
        if (await this.#emitOne(batch)) {
          this.#counts.transactions++
          return true
        }
        this.#counts.refused++
        if (refusals++ === 0) this.#refusing++
        this.#trouble.goesOn()
        await this.#pause(backOffTime(refusals, this.#options.poll))
      }
      return false
    } finally {
      if (refusals > 0) this.#refusing--
    }
  }

  async #emitOne(batch: ChangeBatch): Promise<boolean> {
    try {
      return (await this.#emit(batch)) !== false
    } catch (error) {
      // It must not throw; trying again would do the same.
      this.#trouble.tell(error, 'postgres.source')
      return true
    }
  }

  /** Waits so many milliseconds, or until the source is stopped. */
  async #pause(delay: number): Promise<void> {
    if (this.#stopped) return
    await new Promise<void>((resolve) => {
      const end = (): void => {
        this.#pauses.delete(end)
        cancel()
        resolve()
      }
      const cancel = this.#clock.setTimer(delay, end)
      this.#pauses.add(end)
    })
  }

  #failed(error: unknown): void {
    this.#counts.failures++
    this.#trouble.goesOn(error)
  }
}
