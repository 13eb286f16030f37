import type { ChangeBatch, ChangeSource, Report } from '@rtapi/core'
import { ChangeLog, type RecordWrite } from './change-log.ts'
import { ConnectionTrack } from './connection-track.ts'
import type { Dialect } from './dialects/dialect.ts'
import type { OpenTransaction } from './open-transaction.ts'

/** Something that was written, which says at the end of its transaction what it was. */
export interface StagedWrite {
  /** May throw, which is reported. */
  addTo(log: ChangeLog): void
}

/** A transaction with what was staged in it. */
export type StagedTransaction = OpenTransaction<StagedWrite>

/** The track of a connection whose transactions are announced when they are committed. */
export type StagedTrack = ConnectionTrack<StagedWrite>

/** Hears of what was committed. */
export type ChangeListener = (batch: ChangeBatch) => void

/** What `StagedWrites` needs of an adapter. */
export interface StagedWritesOptions {
  readonly dialect: Dialect
  /** Hears of what a capture throws; its `during` is that of `name` followed by `.capture`. */
  readonly report: Report
  /** The adapter, as its reports begin, such as `mikro-orm`. */
  readonly name: string
  /** A statement that may write has succeeded, whoever sent it. What it throws is reported. */
  written(sql: string, transaction: StagedTransaction | undefined): void
}

/**
 * Keeps what was written until the outermost transaction of its connection is committed, and then announces it; what
 * was rolled back is forgotten. What is written outside of a transaction is announced at once.
 */
export class StagedWrites {
  readonly #options: StagedWritesOptions
  readonly #listeners = new Set<ChangeListener>()
  readonly #prefix = crypto.randomUUID().slice(0, 18)
  #count = 0
  #stopped = false

  constructor(options: StagedWritesOptions) {
    this.#options = options
  }

  /** The track of a new connection: tell it of every statement there. */
  newTrack(): StagedTrack {
    return new ConnectionTrack<StagedWrite>(this.#options.dialect, {
      newId: () => this.#newId(),
      committed: (transaction) => this.#announce(transaction),
      written: (sql, transaction) => {
        if (!this.#stopped) void this.guard(() => this.#options.written(sql, transaction))
      },
    })
  }

  /** Nothing is announced any more. */
  stop(): void {
    this.#stopped = true
    this.#listeners.clear()
  }

  /** Tells the listener of each transaction from now on; returns the undo. */
  listen(listener: ChangeListener): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  /** A change source of all that is announced. */
  source(): ChangeSource {
    let undo: (() => void) | undefined
    return {
      start: (emit) => {
        undo ??= this.listen(emit)
      },
      stop() {
        undo?.()
      },
    }
  }

  /** Stages a write in the transaction that is open on its connection; without one, announces it. */
  stage(transaction: StagedTransaction | undefined, write: StagedWrite): void {
    if (transaction !== undefined) transaction.add(write)
    else this.#emit(this.#newId(), [write])
  }

  /** Runs what must not disturb the ORM: what it throws is reported. */
  guard(work: () => void | Promise<void>): void | Promise<void> {
    try {
      const done = work()
      return done instanceof Promise ? done.catch((error: unknown) => this.#complain(error)) : undefined
    } catch (error) {
      this.#complain(error)
    }
  }

  #announce(transaction: StagedTransaction): void {
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
      this.#options.report(error, { during: `${this.#options.name}.capture` })
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
