import { type ChangeBatch, RtapiError } from '@rtapi/core'
import { LogSession, type LogSessionOptions } from './log-session.ts'
import type { LogTransaction } from './log-transactions.ts'
import type { SlotStatus } from './replication-status.ts'
import { SetupError } from './setup-error.ts'
import { type RunStats, SourceRun, type SourceRunOptions } from './source-run.ts'

/** What a reader is set up with. Times are in milliseconds. */
export interface LogReaderOptions extends Omit<LogSessionOptions, 'wake' | 'announce'>, SourceRunOptions {
  /** Bytes. */
  readonly alarmLag: number
}

/** What a reader of the log has met with since it was started. */
export interface LogStats extends RunStats {
  /** Whether it is this reader to which the log comes. */
  readonly leader: boolean
  /** How often the slot had to be made, so that everything was announced as changed. */
  readonly newSlots: number
}

/** Milliseconds between two looks whether others see a commit. */
const LONGEST = 50

/** Reads the log of the database by a slot, to which one reader is connected at a time. */
export class LogReader {
  readonly #options: LogReaderOptions
  readonly #run: SourceRun<LogSession>
  #newSlots = 0
  #isFarBehind = false
  /** Transactions that the layer has refused, and which are tried again. */
  #refusing = 0
  /** Whether others see the transaction that came last. */
  #visible: Promise<boolean> = Promise.resolve(true)

  constructor(options: LogReaderOptions) {
    this.#options = options
    this.#run = new SourceRun(options, {
      open: () => this.#open(),
      pass: (session) => this.#pass(session),
    })
  }

  /** @throws what only a person can mend. */
  start(emit: (batch: ChangeBatch) => unknown): Promise<void> {
    return this.#run.start(emit)
  }

  /** Nothing is emitted afterwards. */
  stop(): Promise<void> {
    return this.#run.stop()
  }

  /** @throws RtapiError `unavailable` without a connection or a slot. */
  async lag(): Promise<SlotStatus> {
    const { session } = this.#run
    const status = await session?.status()
    if (status === undefined) throw new RtapiError('unavailable', 'PostgreSQL is not connected')
    return status
  }

  stats(): LogStats {
    return { ...this.#run.stats(), leader: this.#run.session?.isReading === true, newSlots: this.#newSlots }
  }

  async #open(): Promise<LogSession> {
    const session = await LogSession.open({
      ...this.#options,
      wake: this.#run.wake,
      announce: (transaction) => this.#announce(transaction),
    })
    if (session.isNewSlot) {
      this.#newSlots++
      const { slot } = this.#options.place
      const message = `the replication slot '${slot}' was not there, or had been lost, and was made: everything may have changed`
      this.#run.trouble.tell(new SetupError('slot_lost', message), 'postgres.source')
    }
    return session
  }

  /** Looks how the slot stands, and begins to read if nobody does. */
  async #pass(session: LogSession): Promise<boolean> {
    const status = await session.look()
    session.read(status)
    this.#watch(status)
    return true
  }

  /** Tells of a slot that falls behind: the server throws away what it keeps for it, or fills its disk. */
  #watch({ lag, log }: SlotStatus): void {
    const { alarmLag, place } = this.#options
    const isFarBehind = lag > alarmLag || log === 'unreserved'
    if (isFarBehind && !this.#isFarBehind) {
      const error = new Error(`the replication slot '${place.slot}' is ${lag} bytes behind; the server calls it ${log}`)
      this.#run.trouble.tell(error, 'postgres.lag')
    }
    this.#isFarBehind = isFarBehind
    if (this.#refusing === 0) this.#run.trouble.isOver()
    else this.#run.trouble.goesOn()
  }

  /** Announces until the layer takes it; `false` if the connection, or the source, has ended before. */
  async #announce({ changes }: LogTransaction): Promise<boolean> {
    const batch = changes.batch()
    const { session } = this.#run
    if (batch.changes.length === 0) return true
    // One after the other, so that the order of the log stays.
    this.#visible = this.#visible.then(() => this.#untilVisible(changes.xid, session))
    if (!(await this.#visible)) return false
    let refusals = 0
    try {
      while (!this.#run.isStopped && session === this.#run.session) {
        if (await this.#run.emit(batch)) {
          this.#run.counts.transactions++
          return true
        }
        this.#run.counts.refused++
        if (refusals++ === 0) this.#refusing++
        this.#run.trouble.goesOn()
        await this.#run.backOff(refusals)
      }
      return false
    } finally {
      if (refusals > 0) this.#refusing--
    }
  }

  /**
   * The log tells of a commit before others see it, for as long as a standby keeps it waiting: who read a record then
   * would read what it was before. `false` if the connection, or the source, has ended before.
   */
  async #untilVisible(xid: string, session: LogSession | undefined): Promise<boolean> {
    if (session === undefined) return false
    for (let delay = 1; session === this.#run.session; delay = Math.min(2 * delay, LONGEST)) {
      // If the question fails, the connection is lost or it is asked again.
      if (await session.isVisible(xid).catch(() => false)) return !this.#run.isStopped
      await this.#run.pause(delay)
      if (this.#run.isStopped) break
    }
    return false
  }
}
