import type { Json } from '@rtapi/core'
import { type EntryTypes, wireFields, wireKey } from './column-types.ts'
import type { TransactionChanges } from './transaction-changes.ts'

/** A row of the outbox, with all values as texts, so that no digit is lost. */
export interface OutboxRow {
  /** The transaction, as a decimal number. */
  readonly xid: string
  readonly id: string
  readonly entity: string
  readonly action: 'create' | 'update' | 'delete' | 'coarse'
  /** JSON: an array of texts or null. */
  readonly key: string | null
  /** JSON: an object of texts or null. */
  readonly before: string | null
  readonly after: string | null
}

/** Adds what a row says to what its transaction has changed. */
export function addRow(changes: TransactionChanges, row: OutboxRow, types: EntryTypes | undefined): void {
  const { entity, action } = row
  if (changes.isCoarse(entity)) return
  const texts = row.key === null ? [] : (JSON.parse(row.key) as readonly (string | null)[])
  const key = types === undefined ? undefined : wireKey(types, texts)
  if (types === undefined || key === undefined || action === 'coarse') return changes.addCoarse(entity)
  const [before, after] = [readFields(types, row.before), readFields(types, row.after)]
  changes.add({ entity, key, action, ...(before && { before }), ...(after && { after }) })
}

function readFields(types: EntryTypes, text: string | null): Record<string, Json> | undefined {
  return text === null ? undefined : wireFields(types, JSON.parse(text) as Record<string, string | null>)
}
