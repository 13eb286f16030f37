import { type ChangeBatch, type Clock, type Report, systemClock } from '@rtapi/core'
import type { DatabaseName } from './dialects/dialect.ts'
import { OutboxRelay } from './outbox-relay.ts'
import { writeRow } from './outbox-row.ts'
import { OUTBOX_TABLE, type OutboxSql, outboxSql } from './outbox-sql.ts'
import type { LendConnection, RawConnection } from './raw-connection.ts'
import { RowRemoval } from './row-removal.ts'

/** Settings of an outbox. */
export interface OutboxOptions {
  /**
   * The table, perhaps behind its schema and a dot. Programs share it if they serve the same resources over the same
   * channel layer. @default `rtapi_outbox`
   */
  readonly table?: string
  /** Milliseconds between two looks for rows that nobody has announced. @default 500 */
  readonly poll?: number
  /** Milliseconds for which a row is left to the process that has written it. @default 1_000 */
  readonly grace?: number
  /** Rows that are announced at once. @default 500 */
  readonly batch?: number
  /** Milliseconds that a row may wait before that is reported, once until there is none. @default 30_000 */
  readonly alarm?: number
  /** Of an entity with more changed records in one transaction the row holds no keys. @default 1_000 */
  readonly coarseKeys?: number
  /** Time, for tests. @default that of the machine */
  readonly clock?: Clock
}

/** How far announcements are behind what is committed. */
export interface OutboxLag {
  /** Rows that are not announced yet, those just written included. */
  readonly waiting: number
  /** Milliseconds for which the oldest of them has waited, by the clock of the database; 0 without any. */
  readonly oldest: number
  /** Rows that say nothing that can be understood. They stay until somebody deletes them. */
  readonly parked: number
}

/** The outbox, as an application sees it. */
export interface OutboxControl {
  /** The statement that creates the table, for a migration. */
  readonly schema: string
  /** Creates the table if it is missing. */
  install(): Promise<void>
  /** Asks the database how far announcements are behind. */
  lag(): Promise<OutboxLag>
}

/** What an outbox needs of an adapter. */
export interface OutboxSurroundings {
  readonly database: DatabaseName
  readonly lend: LendConnection
  readonly report: Report
  /** The adapter, as its reports begin, such as `mikro-orm`. */
  readonly name: string
}

/**
 * Makes the outbox that an option asks for.
 * @throws TypeError if the name of its table needs quotes.
 */
export function openOutbox(
  option: boolean | OutboxOptions | undefined,
  around: OutboxSurroundings,
): Outbox | undefined {
  if (option === undefined || option === false) return undefined
  return new Outbox(option === true ? {} : option, around)
}

/** Milliseconds after which the answer to an announcement is no longer expected, and the row is announced again. */
const PATIENCE = 10_000
/** Milliseconds that the start waits for the database. */
const PROBE = 5_000
/** Milliseconds that the end waits for the last rows. */
const FAREWELL = 1_000

/**
 * Keeps what transactions have changed in a table of the same database, in the same transaction, until the channel layer
 * has taken it: so nothing that is committed is lost if the process dies before it has announced it. Who has committed
 * announces at once; what is left of that is announced by the relay, in whichever process finds it.
 */
export class Outbox implements OutboxControl {
  /** The name of the table. */
  readonly table: string
  readonly schema: string
  readonly #options: Required<OutboxOptions>
  readonly #around: OutboxSurroundings
  readonly #sql: OutboxSql
  /** What has a connection, or waits for one. */
  readonly #lent = new Set<Promise<unknown>>()
  #removal: RowRemoval | undefined
  /** Rows that this process is announcing, since when. */
  readonly #underway = new Map<string, number>()
  readonly #answers = new Set<Promise<void>>()
  #relay: OutboxRelay | undefined
  #starts = 0
  #hasAlarmed = false

  /** @throws TypeError if the name of the table needs quotes. */
  constructor(options: OutboxOptions, around: OutboxSurroundings) {
    this.#around = around
    this.#options = {
      table: OUTBOX_TABLE,
      poll: 500,
      grace: 1_000,
      batch: 500,
      alarm: 30_000,
      coarseKeys: 1_000,
      clock: systemClock,
      ...options,
    }
    this.table = this.#options.table
    this.#sql = outboxSql(around.database, this.table)
    this.schema = this.#sql.create
  }

  async install(): Promise<void> {
    await this.#lend(async (connection) => {
      try {
        await connection.send(this.schema)
      } catch (error) {
        // Two that create a table at once get in each other's way although both say `if not exists`.
        await connection.send(this.#sql.probe).catch(() => {
          throw error
        })
      }
    })
  }

  async lag(): Promise<OutboxLag> {
    const { rows } = await this.#lend((connection) => connection.send(this.#sql.lag))
    const { waiting, oldest, parked } = rows[0] ?? {}
    return {
      waiting: Number(waiting ?? 0),
      oldest: Math.max(0, Math.round(Number(oldest ?? 0) * 1_000)),
      parked: Number(parked ?? 0),
    }
  }

  /** Writes a row in the transaction that is open on the connection, or by itself. Answers its id. */
  async keep(connection: RawConnection, { tx, changes }: ChangeBatch): Promise<string> {
    const text = writeRow(changes, this.#options.coarseKeys)
    const { rows, insertId } = await connection.send(this.#sql.insert, [tx, text])
    return String(rows[0]?.['id'] ?? insertId)
  }

  /** These rows have been announced; the answer says whether the layer has taken everything. */
  announced(ids: readonly string[], answer: boolean | Promise<boolean>): void {
    if (answer === false) return
    if (answer === true) {
      for (const id of ids) this.#removal?.add(id)
      return
    }
    for (const id of ids) this.#underway.set(id, this.#options.clock.monotonic())
    const settled = answer.then((isTaken) => {
      for (const id of ids) {
        this.#underway.delete(id)
        if (isTaken) this.#removal?.add(id)
      }
      this.#answers.delete(settled)
    })
    this.#answers.add(settled)
  }

  /**
   * Begins to look for rows that nobody has announced.
   * @throws Error if the table is missing.
   */
  async start(announce: (batch: ChangeBatch) => boolean | Promise<boolean>): Promise<void> {
    this.#starts += 1
    if (this.#starts > 1) return
    const { clock, poll, grace, batch } = this.#options
    const removal = new RowRemoval({
      clock,
      remove: async (ids) => void (await this.#lend((connection) => connection.send(this.#sql.remove(ids)))),
      failed: (error) => this.#complain(error),
    })
    this.#removal = removal
    const relay = new OutboxRelay({
      sql: this.#sql,
      lend: this.#lend,
      clock,
      poll,
      grace,
      batch,
      announce,
      stateOf: (id) => this.#stateOf(id),
      removed: (ids) => removal.forget(ids),
      waited: (age) => this.#waited(age),
      unreadable: (id, text) =>
        this.#complain(new Error(`row ${id} of the outbox cannot be read and was set aside: ${text}`)),
      failed: (error) => this.#complain(error),
    })
    this.#relay = relay
    await this.#probe()
    if (this.#relay === relay) relay.start()
  }

  /** Ends it, for the last of those who have started it; what was announced is removed if that is soon done. */
  async stop(): Promise<void> {
    if (this.#starts > 0) this.#starts -= 1
    if (this.#starts === 0) await this.close()
  }

  /** Ends it for all. */
  async close(): Promise<void> {
    this.#starts = 0
    if (this.#relay === undefined) return
    this.#relay.stop()
    this.#relay = undefined
    const removal = this.#removal
    // Who closes the pool next does not find anybody at it.
    await this.#within(
      FAREWELL,
      Promise.all(this.#answers)
        .then(() => removal?.stop())
        .then(() => Promise.allSettled(this.#lent)),
    )
  }

  readonly #lend: LendConnection = async (work) => {
    const lent = this.#around.lend(work)
    this.#lent.add(lent)
    try {
      return await lent
    } finally {
      this.#lent.delete(lent)
    }
  }

  /** Settles with the work, or when the time is up. */
  async #within(milliseconds: number, work: Promise<unknown>): Promise<void> {
    let cancel: (() => void) | undefined
    const late = new Promise<void>((resolve) => {
      cancel = this.#options.clock.setTimer(milliseconds, resolve)
    })
    try {
      await Promise.race([work, late])
    } finally {
      cancel?.()
    }
  }

  #stateOf(id: string): 'underway' | 'announced' | undefined {
    if (this.#removal?.has(id) === true) return 'announced'
    const since = this.#underway.get(id)
    if (since === undefined) return undefined
    return this.#options.clock.monotonic() - since < PATIENCE ? 'underway' : undefined
  }

  async #probe(): Promise<void> {
    try {
      const probe = this.#lend((connection) => connection.send(this.#sql.probe))
      await this.#within(PROBE, probe)
    } catch (error) {
      if (!isMissing(error)) {
        // The database may be back soon.
        this.#complain(error)
        return
      }
      this.#relay = undefined
      this.#starts = 0
      throw new Error(
        `the table of the outbox is missing: call install() of the outbox once, or run in a migration\n${this.schema}`,
        { cause: error },
      )
    }
  }

  #waited(age: number): void {
    const { alarm } = this.#options
    if (age < alarm) this.#hasAlarmed = false
    if (age < alarm || this.#hasAlarmed) return
    this.#hasAlarmed = true
    this.#complain(new Error(`a row of the outbox has waited ${Math.round(age / 1_000)} s to be announced`))
  }

  #complain(error: unknown): void {
    try {
      this.#around.report(error, { during: `${this.#around.name}.outbox` })
    } catch {
      // A report must not throw; if it does, there is nobody left to tell.
    }
  }
}

/** Whether the database says that there is no such table, or its schema. */
function isMissing(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause ?? Reflect.get(cause, 'original')) {
    const [code, number] = ['code', 'errno'].map((name) => Reflect.get(cause as object, name) as unknown)
    if (code === '42P01' || code === '3F000' || number === 1146 || /no such table/.test(cause.message)) return true
  }
  return false
}
