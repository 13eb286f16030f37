import type { StagedWrite, StagedWrites } from '@rtapi/sql'
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

  constructor(writes: StagedWrites) {
    this.writes = writes
    this.tap = new ConnectionTap(
      () => writes.newTrack(),
      (track, raw) => writes.newGate(track, raw),
    )
  }

  /** Stages a write in the transaction of this context. Waits only to learn on which connection that runs. */
  stage(context: TransactionContext | undefined, write: StagedWrite): void | Promise<void> {
    if (context === undefined || context.isCommitted === true) return this.writes.stage(undefined, write)
    if (context.isRolledBack === true) return undefined
    const track = this.tap.trackOf(context)
    if (!(track instanceof Promise)) return this.writes.stage(track.transaction, write)
    return track.then(({ transaction }) => this.writes.stage(transaction, write))
  }

  /** Runs what must not disturb MikroORM: what it throws is reported. */
  guard(work: () => void | Promise<void>): void | Promise<void> {
    return this.writes.guard(work)
  }
}
