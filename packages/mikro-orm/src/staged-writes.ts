import type { ChangeBatch, Report } from '@rtapi/core'
import { ChangeLog, type RecordWrite } from './change-log.ts'
import { ConnectionTap, type OpenTransaction } from './connection-tap.ts'
import type { Dialect } from './dialects/dialect.ts'

/** Something that was written, which says at the end of its transaction what it was. */
export interface StagedWrite {
  addTo(log: ChangeLog): void
}

/** Kysely's transaction, which MikroORM hands around as its context. */
export interface TransactionContext {
  readonly isCommitted?: boolean
  readonly isRolledBack?: boolean
}

/** Hears of what was committed. */
export type Listener = (batch: ChangeBatch) => void

/**
 * Keeps what was written until the outermost transaction of its connection is committed, and then announces it; what
 * was rolled back is forgotten. What is written outside of a transaction is announced at once.
 */
export class StagedWrites {
  readonly tap: ConnectionTap<StagedWrite>
  readonly #report: Report
  readonly #listeners = new Set<Listener>()
  readonly #prefix = crypto.randomUUID().slice(0, 18)
  #count = 0
  #stopped = false

  constructor(
    dialect: Dialect,
    report: Report,
    /** A statement that may write has succeeded, whoever sent it. */
    written: (sql: string, transaction: OpenTransaction<StagedWrite> | undefined) => void,
  ) {
    this.#report = report
    this.tap = new ConnectionTap<StagedWrite>(dialect, {
      newId: () => this.#newId(),
      committed: (transaction) => this.#announce(transaction),
      written: (sql, transaction) => {
        if (!this.#stopped) void this.guard(() => written(sql, transaction))
      },
    })
  }

  /** Nothing is announced any more. */
  stop(): void {
    this.#stopped = true
    this.#listeners.clear()
  }

  /** Tells the listener of each transaction from now on; returns the undo. */
  listen(listener: Listener): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  /** Stages a write in the transaction of this context. Waits only to learn on which connection that runs. */
  stage(context: TransactionContext | undefined, write: StagedWrite): void | Promise<void> {
    if (context === undefined || context.isCommitted === true) return this.stageIn(undefined, write)
    if (context.isRolledBack === true) return undefined
    const track = this.tap.trackOf(context)
    if (!(track instanceof Promise)) return this.stageIn(track.transaction, write)
    return track.then(({ transaction }) => this.stageIn(transaction, write))
  }

  stageIn(transaction: OpenTransaction<StagedWrite> | undefined, write: StagedWrite): void {
    if (transaction !== undefined) transaction.add(write)
    else this.#emit(this.#newId(), [write])
  }

  /** Runs what must not disturb MikroORM: what it throws is reported. */
  guard(work: () => void | Promise<void>): void | Promise<void> {
    try {
      const done = work()
      return done instanceof Promise ? done.catch((error: unknown) => this.#complain(error)) : undefined
    } catch (error) {
      this.#complain(error)
    }
  }

  #announce(transaction: OpenTransaction<StagedWrite>): void {
    transaction.announced = this.#emit(transaction.id, transaction.entries)
  }

  /** Answers whether anybody was told anything. */
  #emit(tx: string, writes: readonly StagedWrite[]): boolean {
    if (writes.length === 0 || this.#listeners.size === 0) return false
    const log = new ChangeLog()
    for (const write of writes) void this.guard(() => write.addTo(log))
    const changes = log.changes()
    if (changes.length === 0) return false
    for (const listener of this.#listeners) void this.guard(() => listener({ tx, changes }))
    return true
  }

  #newId(): string {
    this.#count += 1
    return `${this.#prefix}-${this.#count.toString(36)}`
  }

  #complain(error: unknown): void {
    try {
      this.#report(error, { during: 'mikro-orm.capture' })
    } catch {
      // A report must not throw; if it does, there is nobody left to tell.
    }
  }
}

/** A write of one record, all of which is known when it is staged. */
export function recordWrite(write: RecordWrite): StagedWrite {
  return { addTo: (log) => log.add(write) }
}

/** A write of records which cannot be named. */
export function coarseWrite(entities: readonly string[]): StagedWrite {
  return {
    addTo(log) {
      for (const entity of entities) log.addCoarse(entity)
    },
  }
}
