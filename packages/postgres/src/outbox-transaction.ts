import type { ChangeBatch, Json, Key } from '@rtapi/core'
import { ChangeLog } from '@rtapi/sql'
import { type EntryTypes, wireValue } from './column-types.ts'

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

/** The types of each entity's keys and fields. An entity whose parts lie in several tables has one for its keys. */
export type TypesOf = (entity: string) => EntryTypes | undefined

/**
 * The id under which the changes of a PostgreSQL transaction are announced. A store that answers with the id of its
 * transaction can read it there: `select pg_current_xact_id()::text`.
 */
export function transactionId(xid: string): string {
  return `pg-${xid}`
}

/** What one transaction has changed, as far as it has been read. */
export class OutboxTransaction {
  readonly xid: string
  readonly #log = new ChangeLog()
  readonly #counts = new Map<string, number>()
  readonly #typesOf: TypesOf
  readonly #coarseAbove: number

  constructor(xid: string, typesOf: TypesOf, coarseAbove: number) {
    this.xid = xid
    this.#typesOf = typesOf
    this.#coarseAbove = coarseAbove
  }

  add(row: OutboxRow): void {
    const { entity, action } = row
    const count = (this.#counts.get(entity) ?? 0) + 1
    this.#counts.set(entity, count)
    const types = this.#typesOf(entity)
    const key = types === undefined || action === 'coarse' ? undefined : readKey(types, row.key)
    // However many rows a transaction has, what is kept of it is bounded.
    if (key === undefined || action === 'coarse' || count > this.#coarseAbove) return this.#log.addCoarse(entity)
    const [before, after] = [readFields(types, row.before), readFields(types, row.after)]
    this.#log.add({ entity, key, action, ...(before && { before }), ...(after && { after }) })
  }

  /** What to announce; without changes if nothing is left of them. */
  batch(): ChangeBatch {
    return { tx: transactionId(this.xid), changes: this.#log.changes() }
  }
}

/** The key as the store has it; `undefined` if no store can have such a one. */
function readKey(types: EntryTypes | undefined, text: string | null): Key | undefined {
  if (types === undefined || text === null) return undefined
  const texts = JSON.parse(text) as readonly (string | null)[]
  const parts = types.key.flatMap((type, i) => {
    const part = wireValue(type, texts[i])
    return typeof part === 'string' || typeof part === 'number' ? [part] : []
  })
  if (parts.length !== types.key.length || parts.length !== texts.length) return undefined
  const [first] = parts
  return parts.length === 1 ? first : parts
}

function readFields(types: EntryTypes | undefined, text: string | null): Record<string, Json> | undefined {
  if (types === undefined || text === null) return undefined
  const fields: Record<string, Json> = {}
  for (const [field, value] of Object.entries(JSON.parse(text) as Record<string, string | null>)) {
    const type = types.fields[field]
    const wire = type === undefined ? undefined : wireValue(type, value)
    if (wire !== undefined) fields[field] = wire
  }
  return fields
}
