import type { StagedTransaction, StagedWrite, StagedWrites } from '@rtapi/sql'
import { ConnectionTap } from './connection-tap.ts'

/** Kysely's transaction, which MikroORM hands around as its context. */
export interface TransactionContext {
  readonly isCommitted?: boolean
  readonly isRolledBack?: boolean
}

/** Stages writes in the transactions of MikroORM, by their contexts. */
export class ContextStaging {
  readonly writes: StagedWrites
  readonly tap: ConnectionTap
  readonly #left = new WeakMap<TransactionContext, StagedTransaction>()
  readonly #leaving = new WeakSet<TransactionContext>()

  constructor(writes: StagedWrites) {
    this.writes = writes
    this.tap = new ConnectionTap(
      () => writes.newTrack(),
      (track, raw) => writes.newGate(track, raw),
    )
  }

  /** Stages a write in the transaction of this context. Waits only to learn on which connection that runs. */
  stage(context: TransactionContext | undefined, write: StagedWrite): void | Promise<void> {
    if (context === undefined) return this.writes.stage(undefined, write)
    if (context.isCommitted === true) {
      const left = this.#left.get(context)
      return left === undefined ? this.writes.stage(undefined, write) : this.writes.announceLate(left, write)
    }
    if (context.isRolledBack === true) return undefined
    const track = this.tap.trackOf(context)
    if (!(track instanceof Promise)) return this.writes.stage(track.transaction, write)
    return track.then(({ transaction }) => this.writes.stage(transaction, write))
  }

  /** The transaction of this context will be left: what is not told in it is announced by its row of the outbox. */
  willLeave(context: TransactionContext): void {
    this.#leaving.add(context)
  }

  /** Whether the transaction of this context will be left. */
  isLeaving(context: TransactionContext): boolean {
    return this.#leaving.has(context)
  }

  /**
   * The transaction of this context is about to be committed, and as many writes of these entities will be staged only
   * when it is over.
   */
  async leave(context: TransactionContext, entities: readonly string[], count: number): Promise<void> {
    const { transaction } = await this.tap.trackOf(context)
    if (transaction === undefined) return
    for (const entity of entities) transaction.unstaged.add(entity)
    transaction.later += count
    this.#left.set(context, transaction)
  }

  /** Runs what must not disturb MikroORM: what it throws is reported. */
  guard(work: () => void | Promise<void>): void | Promise<void> {
    return this.writes.guard(work)
  }
}
