import { type ChangeBatch, type Clock, type Report, RtapiError } from '@rtapi/core'
import type { OutboxPlace } from './live-table.ts'
import { forgetTransactions, readOutbox } from './outbox-reader.ts'
import { type OutboxLag, readLag } from './outbox-setup.ts'
import { OutboxTransaction } from './outbox-transaction.ts'
import { OutboxError, RelaySession, type SessionOptions } from './relay-session.ts'
import { WakeUp } from './wake-up.ts'

/** What a relay is set up with. Times are in milliseconds. */
export interface RelayOptions extends Omit<SessionOptions, 'wake'> {
  readonly poll: number
  readonly batch: number
  readonly takeover: number
  readonly alarmAfter: number
  readonly clock: Clock
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
  /** Milliseconds since changes could last be announced, 0 if they can. */
  readonly troubledFor: number
}

/** Milliseconds that `stop` gives to what is under way. */
const STOP_TIME = 2_000
const MOST_BACKOFF = 10_000

/**
 * Announces what is in the outbox, and forgets it when the channel layer has taken it. Of all relays of an outbox one
 * leads. Another one takes over when its connection ends, or when rows stay although it is there.
 */
export class Relay {
  readonly #options: RelayOptions
  readonly #wakeUp: WakeUp
  readonly #counts = { transactions: 0, refused: 0, failures: 0 }
  #emit: (batch: ChangeBatch) => unknown = () => undefined
  #session: RelaySession | undefined
  #running: Promise<void> | undefined
  #stopped = false
  #leads = false
  /** Whatever was written by transactions before this one has been announced on this connection. */
  #horizon = '0'
  /** The first row of the outbox as a relay that does not lead saw it last, and since when. */
  #first: { readonly xid: string; readonly since: number } | undefined
  #troubledSince: number | undefined
  #hasAlarmed = false

  constructor(options: RelayOptions) {
    this.#options = options
    this.#wakeUp = new WakeUp(options.clock)
  }

  /**
   * Connects and begins. A database that cannot be reached is waited for.
   * @throws what only a person can mend: OutboxError, TypeError, and errors of PostgreSQL about rights and names.
   */
  async start(emit: (batch: ChangeBatch) => unknown): Promise<void> {
    if (this.#running !== undefined) throw new TypeError('the source has been started already')
    this.#emit = emit
    let session: RelaySession | undefined
    try {
      session = await this.#open()
    } catch (error) {
      if (needsPerson(error)) throw error
      this.#failed(error, 1)
    }
    this.#running = this.#run(session)
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#wakeUp.wake()
    const cancel = this.#options.clock.setTimer(STOP_TIME, () => void this.#session?.close())
    await this.#running
    cancel()
  }

  /** @throws RtapiError `unavailable` without a connection. */
  lag(): Promise<OutboxLag> {
    const session = this.#session
    if (session === undefined) return Promise.reject(new RtapiError('unavailable', 'PostgreSQL is not connected'))
    return readLag(session.client, this.#place)
  }

  stats(): RelayStats {
    const since = this.#troubledSince
    return {
      connected: this.#session !== undefined && this.#session.failure === undefined,
      leader: this.#leads,
      ...this.#counts,
      troubledFor: since === undefined ? 0 : this.#options.clock.monotonic() - since,
    }
  }

  get #place(): OutboxPlace {
    return this.#options.place
  }

  async #open(): Promise<RelaySession> {
    const session = await RelaySession.open({ ...this.#options, wake: () => this.#wakeUp.wake() })
    this.#session = session
    this.#horizon = '0'
    if (session.outdated.length > 0) {
      const names = session.outdated.join(', ')
      this.#tell(new OutboxError(`the triggers of ${names} were made from another description: install them anew`))
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
        if (!this.#stopped) this.#failed(error, failures)
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
    if (done) {
      this.#troubledSince = undefined
      this.#hasAlarmed = false
    } else this.#troubled()
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
    const { batch: limit } = this.#options
    let after = { xid: this.#horizon, id: '0' }
    let horizon: string | undefined
    let open: OutboxTransaction | undefined
    for (;;) {
      const page = await readOutbox(session.client, this.#place, { after, limit })
      horizon ??= page.horizon
      const whole: OutboxTransaction[] = []
      for (const row of page.rows) {
        if (open !== undefined && open.xid !== row.xid) {
          whole.push(open)
          open = undefined
        }
        open ??= new OutboxTransaction(row.xid, session.typesOf, this.#place.coarseAbove)
        open.add(row)
        after = row
      }
      const isLast = page.rows.length < limit
      if (isLast && open !== undefined) whole.push(open)
      if (!(await this.#announce(session, whole))) return false
      if (isLast || this.#stopped) break
    }
    // A later transaction may have been committed between two pages, but none that had ended before the first.
    this.#horizon = horizon
    return true
  }

  async #announce({ client }: RelaySession, transactions: readonly OutboxTransaction[]): Promise<boolean> {
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
      this.#tell(error)
      return true
    }
  }

  async #backOff(failures: number): Promise<void> {
    const most = Math.min(MOST_BACKOFF, this.#options.poll * 2 ** Math.min(failures - 1, 10))
    const until = this.#options.clock.monotonic() + most / 2 + Math.random() * (most / 2)
    for (let left = until; left > 0 && !this.#stopped; left = until - this.#options.clock.monotonic()) {
      await this.#wakeUp.wait(until - this.#options.clock.monotonic())
    }
  }

  #failed(error: unknown, failures: number): void {
    this.#counts.failures++
    // An outage is told of once.
    if (failures === 1) this.#tell(error)
    this.#troubled()
  }

  #troubled(): void {
    const now = this.#options.clock.monotonic()
    this.#troubledSince ??= now
    const time = now - this.#troubledSince
    if (time < this.#options.alarmAfter || this.#hasAlarmed) return
    this.#hasAlarmed = true
    const seconds = Math.round(time / 1_000)
    this.#tell(new Error(`no changes of PostgreSQL could be announced for ${seconds} s`), 'postgres.lag')
  }

  #tell(error: unknown, during = 'postgres.relay'): void {
    try {
      this.#options.report(error, { during })
    } catch {
      // A report must not throw; if it does, there is nobody left to tell.
    }
  }
}

/** Whether trying again is of no use: SQLSTATEs of authentication, missing databases, and rights and names. */
function needsPerson(error: unknown): boolean {
  if (error instanceof OutboxError || error instanceof TypeError) return true
  const code: unknown = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined
  return typeof code === 'string' && /^(28|3D|42)[0-9A-Z]{3}$/.test(code)
}
