import type { ChangeBatch, ChangeSource, Report } from '@rtapi/core'
import { ChangeLog, type RecordWrite } from './change-log.ts'
import { ConnectionTrack } from './connection-track.ts'
import type { Dialect } from './dialects/dialect.ts'
import type { OpenTransaction } from './open-transaction.ts'
import type { Outbox } from './outbox.ts'
import type { RawConnection } from './raw-connection.ts'
import { StatementGate } from './statement-gate.ts'

/** Something that was written, which says at the end of its transaction what it was. */
export interface StagedWrite {
  /** May throw, which is reported. */
  addTo(log: ChangeLog): void
}

/** A transaction with what was staged in it. */
export type StagedTransaction = OpenTransaction<StagedWrite>

/** The track of a connection whose transactions are announced when they are committed. */
export type StagedTrack = ConnectionTrack<StagedWrite>

/**
 * Hears of what was committed. Answers `false`, or a promise of it, if it could not take everything to where it belongs.
 */
export type ChangeListener = (batch: ChangeBatch) => unknown

/** What `StagedWrites` needs of an adapter. */
export interface StagedWritesOptions {
  readonly dialect: Dialect
  /** Hears of what a capture throws; its `during` is that of `name` followed by `.capture`. */
  readonly report: Report
  /** The adapter, as its reports begin, such as `mikro-orm`. */
  readonly name: string
  /** A statement that may write has succeeded, whoever sent it. What it throws is reported. */
  written(sql: string, transaction: StagedTransaction | undefined): void
  /** Keeps what is committed until it is announced. @default nothing does */
  readonly outbox?: Outbox | undefined
  /** With an outbox: the entities to which a text of SQL may write. */
  readonly entitiesIn?: (sql: string) => readonly string[]
  /** With an outbox: the ORM does not roll back after a commit that has failed. @default false */
  readonly rollsBack?: boolean
}

/**
 * Keeps what was written until the outermost transaction of its connection is committed, and then announces it; what
 * was rolled back is forgotten. What is written outside of a transaction is announced at once.
 */
export class StagedWrites {
  readonly #options: StagedWritesOptions
  readonly #listeners = new Set<ChangeListener>()
  readonly #prefix = crypto.randomUUID().slice(0, 18)
  readonly #batches = new WeakMap<StagedTransaction, ChangeBatch['changes']>()
  #count = 0
  #stopped = false

  constructor(options: StagedWritesOptions) {
    this.#options = options
  }

  /** The track of a new connection: tell it of every statement there. */
  newTrack(): StagedTrack {
    return new ConnectionTrack<StagedWrite>(this.#options.dialect, {
      newId: () => this.newId(),
      committed: (transaction) => this.#announce(transaction),
      written: (sql, transaction) => {
        if (!this.#stopped) void this.guard(() => this.#options.written(sql, transaction))
      },
    })
  }

  /** Through which the statements of a connection have to go; `undefined`: there is no outbox, and nothing to add. */
  newGate(track: StagedTrack, raw: RawConnection): StatementGate | undefined {
    const { outbox, dialect, entitiesIn = () => [], rollsBack = false } = this.#options
    return outbox && new StatementGate(track, raw, { outbox, writes: this, dialect, entitiesIn, rollsBack })
  }

  /** Nothing is announced any more. */
  stop(): void {
    this.#stopped = true
    this.#listeners.clear()
    void this.guard(() => this.#options.outbox?.close())
  }

  /** Whether nothing is announced any more. */
  get isStopped(): boolean {
    return this.#stopped
  }

  /** Tells the listener of each transaction from now on; returns the undo. */
  listen(listener: ChangeListener): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  /** A change source of all that is announced. */
  source(): ChangeSource {
    const { outbox } = this.#options
    let undo: (() => void) | undefined
    return {
      start: (emit) => {
        if (undo !== undefined) return undefined
        undo = this.listen(emit)
        return outbox?.start((batch) => this.#tell(batch))
      },
      stop() {
        if (undo === undefined) return undefined
        undo()
        undo = undefined
        return outbox?.stop()
      },
    }
  }

  /** Stages a write in the transaction that is open on its connection; without one, announces it. */
  stage(transaction: StagedTransaction | undefined, write: StagedWrite): void {
    if (transaction !== undefined) transaction.add(write)
    else void this.#emit(this.newId(), [write])
  }

  /** Announces a write of a transaction that is over, which has left it for later. */
  announceLate(transaction: StagedTransaction, write: StagedWrite): void {
    transaction.later -= 1
    transaction.answers.push(this.#emit(this.newId(), [write]))
    this.#release(transaction)
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

  /** What a transaction has written so far, as it will be announced when it is committed. */
  batchOf(transaction: StagedTransaction): ChangeBatch['changes'] {
    const known = this.#batches.get(transaction)
    if (known !== undefined) return known
    const changes = this.#changesOf(transaction.entries)
    this.#batches.set(transaction, changes)
    return changes
  }

  /** The transaction goes on: it may write more. */
  forgetBatch(transaction: StagedTransaction): void {
    this.#batches.delete(transaction)
  }

  /** A name for a transaction. */
  newId(): string {
    this.#count += 1
    return `${this.#prefix}-${this.#count.toString(36)}`
  }

  #announce(transaction: StagedTransaction): void {
    const { id } = transaction
    if (this.#listeners.size === 0) return
    const changes = this.batchOf(transaction)
    if (changes.length === 0) return
    transaction.announced = true
    const answer = this.#tell({ tx: id, changes })
    transaction.answers.push(answer)
    this.#release(transaction)
  }

  /** When everything has been announced, the rows may go. */
  #release({ rows, later, answers }: StagedTransaction): void {
    if (rows.length === 0 || later > 0 || answers.includes(false)) return
    const underway = answers.filter((answer) => typeof answer !== 'boolean')
    const isTaken = underway.length === 0 || Promise.all(underway).then((taken) => !taken.includes(false))
    this.#options.outbox?.announced(rows, isTaken)
  }

  /** Answers whether all of it was taken. */
  #emit(tx: string, writes: readonly StagedWrite[]): boolean | Promise<boolean> {
    if (this.#listeners.size === 0) return false
    const changes = this.#changesOf(writes)
    return changes.length > 0 && this.#tell({ tx, changes })
  }

  #changesOf(writes: readonly StagedWrite[]): ChangeBatch['changes'] {
    const log = new ChangeLog()
    for (const write of writes) void this.guard(() => write.addTo(log))
    return log.changes()
  }

  /** Answers whether all listeners have taken everything. */
  #tell(batch: ChangeBatch): boolean | Promise<boolean> {
    let isTaken = this.#listeners.size > 0
    const underway: Promise<boolean>[] = []
    for (const listener of this.#listeners) {
      try {
        const answer = listener(batch)
        if (answer === false) isTaken = false
        else if (answer instanceof Promise) underway.push(answer.then((taken: unknown) => taken !== false))
      } catch (error) {
        isTaken = false
        this.#complain(error)
      }
    }
    if (underway.length === 0) return isTaken
    return Promise.all(underway).then(
      (answers) => isTaken && !answers.includes(false),
      (error: unknown) => {
        this.#complain(error)
        return false
      },
    )
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
