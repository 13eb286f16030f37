import { type ChangeBatch, RtapiError } from '@rtapi/core'
import type { OutboxPlace } from './live-table.ts'
import { forgetTransactions, readOutbox } from './outbox-reader.ts'
import { type OutboxLag, readLag } from './outbox-status.ts'
import { addRow } from './outbox-row.ts'
import { RelaySession, type SessionOptions } from './relay-session.ts'
import { SetupError } from './setup-error.ts'
import { type RunStats, SourceRun, type SourceRunOptions } from './source-run.ts'
import { TransactionChanges } from './transaction-changes.ts'

/** What a relay is set up with. Times are in milliseconds. */
export interface RelayOptions extends Omit<SessionOptions, 'wake'>, SourceRunOptions {
  readonly batch: number
  readonly takeover: number
}

/** What a relay has met with since it was started. */
export interface RelayStats extends RunStats {
  /** Whether it is this relay that announces what is in the outbox. */
  readonly leader: boolean
}

/**
 * Announces what is in the outbox, and forgets it when the channel layer has taken it. Of all relays of an outbox one
 * leads. Another one takes over when its connection ends, or when rows stay although it is there.
 */
export class Relay {
  readonly #options: RelayOptions
  readonly #run: SourceRun<RelaySession>
  #leads = false
  /** Whatever was written by transactions before this one has been announced on this connection. */
  #horizon = '0'
  /** The first row of the outbox as a relay that does not lead saw it last, and since when. */
  #first: { readonly xid: string; readonly since: number } | undefined

  constructor(options: RelayOptions) {
    this.#options = options
    this.#run = new SourceRun(options, {
      open: () => this.#open(),
      pass: (session) => this.#pass(session),
      closed: () => {
        this.#leads = false
        this.#first = undefined
      },
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

  /** @throws RtapiError `unavailable` without a connection. */
  lag(): Promise<OutboxLag> {
    const { session } = this.#run
    if (session === undefined) return Promise.reject(new RtapiError('unavailable', 'PostgreSQL is not connected'))
    return session.inTurn((client) => readLag(client, this.#place))
  }

  stats(): RelayStats {
    return { ...this.#run.stats(), leader: this.#leads }
  }

  get #place(): OutboxPlace {
    return this.#options.place
  }

  async #open(): Promise<RelaySession> {
    const session = await RelaySession.open({ ...this.#options, wake: this.#run.wake })
    this.#horizon = '0'
    if (session.outdated.length > 0) {
      const names = session.outdated.join(', ')
      const problem = `the triggers of ${names} were made from another description, or are not on all partitions`
      this.#run.trouble.tell(new SetupError('not_installed', `${problem}: install them anew`), 'postgres.source')
    }
    return session
  }

  /** Looks once; answers whether all that was there has been announced, or another relay sees to it. */
  async #pass(session: RelaySession): Promise<boolean> {
    this.#leads ||= await session.lead()
    const done = this.#leads || (await this.#isStuck(session)) ? await this.#drain(session) : true
    if (done) this.#run.trouble.isOver()
    else this.#run.trouble.goesOn()
    return done
  }

  /** Whether the relay that leads seems to do nothing, since the first row is there for too long. */
  async #isStuck(session: RelaySession): Promise<boolean> {
    const { rows } = await session.inTurn((client) =>
      readOutbox(client, this.#place, { after: { xid: '0', id: '0' }, limit: 1 }),
    )
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
      const page = await session.inTurn((client) => readOutbox(client, this.#place, { after, limit }))
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
      if (isLast || this.#run.isStopped) break
      // What is written faster than it is read never comes to an end.
      if (clock.monotonic() - began >= alarmAfter) this.#run.trouble.goesOn(undefined, began)
    }
    // A later transaction may have been committed between two pages, but none that had ended before the first.
    this.#horizon = horizon
    return true
  }

  async #announce(session: RelaySession, transactions: readonly TransactionChanges[]): Promise<boolean> {
    if (transactions.length === 0 || this.#run.isStopped) return true
    const answers = await Promise.all(transactions.map((transaction) => this.#emit(transaction.batch())))
    const taken = transactions.filter((_, i) => answers[i]).map(({ xid }) => xid)
    this.#run.counts.transactions += taken.length
    this.#run.counts.refused += transactions.length - taken.length
    if (taken.length > 0) await session.inTurn((client) => forgetTransactions(client, this.#place, taken))
    return taken.length === transactions.length
  }

  async #emit(batch: ChangeBatch): Promise<boolean> {
    return batch.changes.length === 0 || this.#run.emit(batch)
  }
}
