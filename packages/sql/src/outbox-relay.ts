import type { Change, ChangeBatch, Clock, CoarseChange } from '@rtapi/core'
import { readRow } from './outbox-row.ts'
import type { OutboxSql } from './outbox-sql.ts'
import type { LendConnection, RawConnection } from './raw-connection.ts'

/** Milliseconds after which an answer of the channel layer is not waited for any longer. */
const PATIENCE = 10_000
/** Milliseconds after which a look that does not come to an end is given up, and another begins. */
const LONGEST = 2 * PATIENCE
/** How many rows are tried while the layer takes none. */
const TRIES = 10

/** What the relay needs around it. */
export interface OutboxRelayOptions {
  readonly sql: OutboxSql
  readonly lend: LendConnection
  readonly clock: Clock
  /** Milliseconds between two looks, and which a row must be old. */
  readonly poll: number
  readonly grace: number
  /** How many rows are announced at once. */
  readonly batch: number
  /** Answers whether the layer has taken everything. Does not throw. */
  announce(batch: ChangeBatch): boolean | Promise<boolean>
  /** What this process itself knows of the row: it is being announced, or it has been and need only be removed. */
  stateOf(id: string): 'underway' | 'announced' | undefined
  /** Rows have been removed. */
  removed(ids: readonly string[]): void
  /** The first row has waited so many milliseconds; told at each look at which there is one. */
  waited(age: number): void
  /** A row says nothing that can be understood; it is set aside. */
  unreadable(id: string, text: string): void
  /** The database did not answer as it should; told once until it does. */
  failed(error: unknown): void
}

interface OutboxRow {
  readonly id: string
  readonly tx: string
  readonly changes: unknown
  readonly age: number
}

/**
 * Announces what others have committed and not announced, since they have died or their layer has refused it: looks for
 * rows that are old, announces them, and removes those that were taken. It takes whatever it sees, so that a row whose
 * transaction took long is found whenever it appears; and it goes on behind a row that is not taken, so that none is in
 * the way of others.
 */
export class OutboxRelay {
  readonly #options: OutboxRelayOptions
  #cancel: (() => void) | undefined
  #isRunning = false
  #isFailing = false
  /** End what is waited for. */
  readonly #interrupts = new Set<() => void>()
  #isStopped = false
  /** Where the next look goes on. */
  #behind = '0'
  /** The last rows were all refused. */
  #isRefused = false

  constructor(options: OutboxRelayOptions) {
    this.#options = options
  }

  start(): void {
    this.#schedule()
  }

  /** Ends at once: a look that is under way announces nothing more, and leaves its rows. */
  stop(): void {
    this.#isStopped = true
    this.#cancel?.()
    for (const interrupt of this.#interrupts) interrupt()
  }

  #schedule(): void {
    if (this.#isStopped) return
    this.#cancel = this.#options.clock.setTimer(this.#options.poll, () => void this.#look())
  }

  async #look(): Promise<void> {
    if (this.#isRunning) return
    this.#isRunning = true
    try {
      let hasMore: boolean | 'late' | 'stopped' = true
      while (hasMore === true && !this.#isStopped)
        hasMore = await this.#atMost(
          LONGEST,
          this.#options.lend((connection) => this.#round(connection)),
        )
      // What it may still do is done twice then, which is harmless; the rows must not wait for ever.
      if (hasMore === 'late') throw new Error('the database did not answer')
      this.#isFailing = false
    } catch (error) {
      if (!this.#isFailing && !this.#isStopped) this.#options.failed(error)
      this.#isFailing = true
    } finally {
      this.#isRunning = false
      this.#schedule()
    }
  }

  /** Answers whether there may be more to do at once. */
  async #round(connection: RawConnection): Promise<boolean> {
    const [first] = await this.#select(connection, '0', 1)
    if (first === undefined || this.#isStopped) return false
    this.#options.waited(first.age * 1_000)
    const { begin, lock, end } = this.#options.sql
    if (begin !== undefined) await connection.send(begin)
    try {
      if (lock !== undefined) {
        const { rows } = await connection.send(lock)
        if (Number(rows[0]?.['mine']) !== 1) return false
      }
      return await this.#announceSome(connection)
    } finally {
      if (end !== undefined) await connection.send(end)
    }
  }

  async #announceSome(connection: RawConnection): Promise<boolean> {
    const limit = this.#isRefused ? TRIES : this.#options.batch
    let rows = await this.#select(connection, this.#behind, limit)
    if (rows.length === 0 && this.#behind !== '0') rows = await this.#select(connection, '0', limit)
    const isFull = rows.length === limit
    this.#behind = isFull ? (rows.at(-1)?.id ?? '0') : '0'

    const unreadable: string[] = []
    const done: string[] = []
    const answers: Promise<void>[] = []
    for (const row of rows) {
      if (this.#isStopped) return false
      const state = this.#options.stateOf(row.id)
      if (state === 'announced') done.push(row.id)
      if (state !== undefined) continue
      const changes = readRow(row.changes)
      if (changes === undefined) unreadable.push(row.id)
      else answers.push(this.#announce(row, changes).then((isTaken) => void (isTaken && done.push(row.id))))
    }
    await this.#atMost(PATIENCE, Promise.all(answers))
    if (this.#isStopped) return false
    await this.#park(connection, rows, unreadable)
    const removed = [...done]
    if (removed.length > 0) {
      await connection.send(this.#options.sql.remove(removed))
      this.#options.removed(removed)
    }
    this.#isRefused = answers.length > 0 && removed.length === 0
    return isFull && removed.length + unreadable.length > 0
  }

  async #announce(row: OutboxRow, changes: readonly (Change | CoarseChange)[]): Promise<boolean> {
    // Other programs need not think of a name for their transactions.
    const tx = /^[\x21-\x7e]{1,64}$/.test(row.tx) ? row.tx : `outbox-${row.id}`
    return this.#options.announce({ tx, changes })
  }

  /** Waits for it, but no longer than so many milliseconds, nor when this is stopped: what is late goes on by itself. */
  async #atMost<T>(milliseconds: number, work: Promise<T>): Promise<T | 'late' | 'stopped'> {
    let end: (how: 'late' | 'stopped') => void = () => {}
    const over = new Promise<'late' | 'stopped'>((resolve) => (end = resolve))
    const interrupt = (): void => end('stopped')
    const cancel = this.#options.clock.setTimer(milliseconds, () => end('late'))
    this.#interrupts.add(interrupt)
    try {
      return await Promise.race([work, over])
    } finally {
      cancel()
      this.#interrupts.delete(interrupt)
    }
  }

  async #park(connection: RawConnection, rows: readonly OutboxRow[], ids: readonly string[]): Promise<void> {
    if (ids.length === 0) return
    await connection.send(this.#options.sql.park(ids))
    for (const { id, changes } of rows) {
      if (ids.includes(id)) this.#options.unreadable(id, String(changes).slice(0, 200))
    }
  }

  async #select(connection: RawConnection, behind: string, limit: number): Promise<readonly OutboxRow[]> {
    const { sql, grace } = this.#options
    const { rows } = await connection.send(sql.select({ behind, age: grace / 1_000, limit }))
    return rows.map(({ id, tx, changes, age }) => ({ id: String(id), tx: String(tx), changes, age: Number(age) }))
  }
}
