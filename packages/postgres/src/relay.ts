import { type ChangeBatch, type Report, RtapiError } from '@rtapi/core'
import { backOffTime } from './back-off.ts'
import { needsPerson } from './database-link.ts'
import type { OutboxPlace } from './live-table.ts'
import { forgetTransactions, readOutbox } from './outbox-reader.ts'
import { type OutboxLag, readLag } from './outbox-status.ts'
import { addRow } from './outbox-row.ts'
import { RelaySession, type SessionOptions } from './relay-session.ts'
import { SetupError } from './setup-error.ts'
import { withinStopTime } from './stopping.ts'
import { TransactionChanges } from './transaction-changes.ts'
import { Trouble } from './trouble.ts'
import { WakeUp } from './wake-up.ts'

/** What a relay is set up with. Times are in milliseconds. */
export interface RelayOptions extends Omit<SessionOptions, 'wake'> {
  readonly poll: number
  readonly batch: number
  readonly takeover: number
  readonly alarmAfter: number
  readonly report: Report
}

/** What a relay has met with since it was started. */
export interface RelayStats {
  /** Whether there is a connection to the database. */
  readonly connected: boolean
  /** Whether it is this relay that announces what is in the outbox. */
  readonly leader: boolean
  /** Transactions announced and taken by the channel layer. */
  readonly transactions: number
  /** Transactions that the layer did not take, at each try. */
  readonly refused: number
  /** How often the connection failed, or could not be made. */
  readonly failures: number
  /** Milliseconds for which changes have not been announced as fast as they came, 0 if all is well. */
  readonly troubledFor: number
}

/**
 * Announces what is in the outbox, and forgets it when the channel layer has taken it. Of all relays of an outbox one
 * leads. Another one takes over when its connection ends, or when rows stay although it is there.
 */
export class Relay {
  readonly #options: RelayOptions
  readonly #wakeUp: WakeUp
  readonly #trouble: Trouble
  readonly #counts = { transactions: 0, refused: 0, failures: 0 }
  #emit: (batch: ChangeBatch) => unknown = () => undefined
  #session: RelaySession | undefined
  #running: Promise<void> | undefined
  #stopping: Promise<void> | undefined
  #stopped = false
  #leads = false
  /** Whatever was written by transactions before this one has been announced on this connection. */
  #horizon = '0'
  /** The first row of the outbox as a relay that does not lead saw it last, and since when. */
  #first: { readonly xid: string; readonly since: number } | undefined

  constructor(options: RelayOptions) {
    this.#options = options
    this.#trouble = new Trouble(options)
    this.#wakeUp = new WakeUp(options.clock)
  }

  /**
   * Connects and begins. A database that cannot be reached is waited for.
   * @throws what only a person can mend: SetupError, TypeError, and errors of PostgreSQL about rights and names.
   */
  async start(emit: (batch: ChangeBatch) => unknown): Promise<void> {
    if (this.#running !== undefined) throw new TypeError('the source has been started already')
    this.#emit = emit
    let session: RelaySession | undefined
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

  /** @throws RtapiError `unavailable` without a connection. */
  lag(): Promise<OutboxLag> {
    const session = this.#session
    if (session === undefined) return Promise.reject(new RtapiError('unavailable', 'PostgreSQL is not connected'))
    return readLag(session.client, this.#place)
  }

  stats(): RelayStats {
    return {
      connected: this.#session !== undefined && this.#session.failure === undefined,
      leader: this.#leads,
      ...this.#counts,
      troubledFor: this.#trouble.lasts,
    }
  }

  get #place(): OutboxPlace {
    return this.#options.place
  }

  async #stop(): Promise<void> {
    this.#stopped = true
    this.#wakeUp.wake()
    await withinStopTime(this.#options.clock, this.#running)
    await this.#session?.close()
  }

  async #open(): Promise<RelaySession> {
    const session = await RelaySession.open({ ...this.#options, wake: () => this.#wakeUp.wake() })
    this.#session = session
    this.#horizon = '0'
    if (session.outdated.length > 0) {
      const names = session.outdated.join(', ')
      const problem = `the triggers of ${names} were made from another description, or are not on all partitions`
      this.#trouble.tell(new SetupError('not_installed', `${problem}: install them anew`), 'postgres.source')
    }
    return session
  }

  async #run(first: RelaySession | undefined): Promise<void> {
    let session = first
    let failures = first === undefined ? 1 : 0
    while (!this.#stopped) {
      try {
        if (failures > 0) await this.#backOff(failures)
        if (this.#stopped) break
        session ??= await this.#open()
        if (await this.#pass(session)) {
          failures = 0
          await this.#wakeUp.wait(this.#options.poll)
        } else failures++
        if (session.failure !== undefined) throw session.failure
      } catch (error) {
        failures++
        if (!this.#stopped) this.#failed(error)
        await this.#close(session)
        session = undefined
      }
    }
    await this.#close(session)
  }

  async #close(session: RelaySession | undefined): Promise<void> {
    this.#session = undefined
    this.#leads = false
    this.#first = undefined
    await session?.close()
  }

  /** Looks once; answers whether all that was there has been announced, or another relay sees to it. */
  async #pass(session: RelaySession): Promise<boolean> {
    this.#leads ||= await session.lead()
    const done = this.#leads || (await this.#isStuck(session)) ? await this.#drain(session) : true
    if (done) this.#trouble.isOver()
    else this.#trouble.goesOn()
    return done
  }

  /** Whether the relay that leads seems to do nothing, since the first row is there for too long. */
  async #isStuck({ client }: RelaySession): Promise<boolean> {
    const { rows } = await readOutbox(client, this.#place, { after: { xid: '0', id: '0' }, limit: 1 })
    const now = this.#options.clock.monotonic()
    const xid = rows[0]?.xid
    if (xid === undefined) this.#first = undefined
    else if (this.#first?.xid !== xid) this.#first = { xid, since: now }
    return this.#first !== undefined && now - this.#first.since >= this.#options.takeover
  }

  /** Announces all that is there. Answers whether the layer took it. */
  async #drain(session: RelaySession): Promise<boolean> {
    const { batch: limit, clock, alarmAfter } = this.#options
    const began = clock.monotonic()
    let after = { xid: this.#horizon, id: '0' }
    let horizon: string | undefined
    let open: TransactionChanges | undefined
    for (;;) {
      const page = await readOutbox(session.client, this.#place, { after, limit })
      horizon ??= page.horizon
      const whole: TransactionChanges[] = []
      for (const row of page.rows) {
        if (open !== undefined && open.xid !== row.xid) {
          whole.push(open)
          open = undefined
        }
        open ??= new TransactionChanges(row.xid, this.#place.coarseKeys)
        addRow(open, row, session.typesOf(row.entity))
        after = row
      }
      const isLast = page.rows.length < limit
      if (isLast && open !== undefined) whole.push(open)
      if (!(await this.#announce(session, whole))) return false
      if (isLast || this.#stopped) break
      // What is written faster than it is read never comes to an end.
      if (clock.monotonic() - began >= alarmAfter) this.#trouble.goesOn(undefined, began)
    }
    // A later transaction may have been committed between two pages, but none that had ended before the first.
    this.#horizon = horizon
    return true
  }

  async #announce({ client }: RelaySession, transactions: readonly TransactionChanges[]): Promise<boolean> {
    if (transactions.length === 0 || this.#stopped) return true
    const answers = await Promise.all(transactions.map((transaction) => this.#emitOne(transaction.batch())))
    const taken = transactions.filter((_, i) => answers[i]).map(({ xid }) => xid)
    this.#counts.transactions += taken.length
    this.#counts.refused += transactions.length - taken.length
    if (taken.length > 0) await forgetTransactions(client, this.#place, taken)
    return taken.length === transactions.length
  }

  async #emitOne(batch: ChangeBatch): Promise<boolean> {
    if (batch.changes.length === 0) return true
    try {
      return (await this.#emit(batch)) !== false
    } catch (error) {
      // It must not throw; trying again would do the same.
      this.#trouble.tell(error, 'postgres.source')
      return true
    }
  }

  async #backOff(failures: number): Promise<void> {
    const { clock, poll } = this.#options
    const until = clock.monotonic() + backOffTime(failures, poll)
    for (let left = until - clock.monotonic(); left > 0 && !this.#stopped; left = until - clock.monotonic()) {
      await this.#wakeUp.wait(left)
    }
  }

  #failed(error: unknown): void {
    this.#counts.failures++
    this.#trouble.goesOn(error)
  }
}
