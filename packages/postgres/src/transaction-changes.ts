import type { ChangeBatch } from '@rtapi/core'
import { ChangeLog, type RecordWrite } from '@rtapi/sql'

/**
 * The id under which the changes of a PostgreSQL transaction are announced. A store that answers with the id of its
 * transaction can read it there: `select pg_current_xact_id()::text`.
 */
export function transactionId(xid: string): string {
  return `pg-${xid}`
}

/** What one transaction has changed, as far as it has been read. However much that is, what is kept of it is bounded. */
export class TransactionChanges {
  readonly xid: string
  readonly #log = new ChangeLog()
  readonly #counts = new Map<string, number>()
  readonly #coarseKeys: number

  /** @param coarseKeys - so many writes of an entity are announced one by one. */
  constructor(xid: string, coarseKeys: number) {
    this.xid = xid
    this.#coarseKeys = coarseKeys
  }

  /** Some records of the entity may have been written. */
  addCoarse(entity: string): void {
    this.#counts.set(entity, Number.POSITIVE_INFINITY)
    this.#log.addCoarse(entity)
  }

  /** Whether more writes of the entity would say nothing new. */
  isCoarse(entity: string): boolean {
    return (this.#counts.get(entity) ?? 0) > this.#coarseKeys
  }

  add(write: RecordWrite): void {
    const { entity } = write
    const count = (this.#counts.get(entity) ?? 0) + 1
    this.#counts.set(entity, count)
    if (count > this.#coarseKeys) this.addCoarse(entity)
    else this.#log.add(write)
  }

  /** What to announce; without changes if nothing is left of them. */
  batch(): ChangeBatch {
    const changes = this.#log.changes()
    const coarse = new Set(changes.flatMap(({ type, entity }) => (type === 'coarse' ? [entity] : [])))
    // Where everything may have changed, single changes say nothing new.
    const needed = changes.filter(({ type, entity }) => type === 'coarse' || !coarse.has(entity))
    return { tx: transactionId(this.xid), changes: needed }
  }
}
