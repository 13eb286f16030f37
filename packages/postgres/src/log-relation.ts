import type { Pgoutput } from 'pg-logical-replication'
import { type EntryTypes, wireFields, wireKey } from './column-types.ts'
import { type LiveColumn, type LiveTable, columnName } from './live-table.ts'
import type { TransactionChanges } from './transaction-changes.ts'

/** The columns of a row as texts; what is absent is unknown. */
type Texts = Readonly<Record<string, string | null | undefined>>

/** One way in which rows of a published table are records of an entity. */
export class LogRelation {
  readonly #table: LiveTable
  readonly #types: EntryTypes
  readonly #identified: boolean

  /** @param columns - those by which the log tells rows apart: of the primary key, or all. */
  constructor(table: LiveTable, types: EntryTypes, columns: readonly string[]) {
    this.#table = table
    this.#types = types
    this.#identified = table.key.every((column) => columns.includes(columnName(column)))
  }

  get entity(): string {
    return this.#table.entity
  }

  inserted(changes: TransactionChanges, row: Texts): void {
    this.#write(changes, undefined, row)
  }

  updated(changes: TransactionChanges, { key, old, new: row }: Pgoutput.MessageUpdate): void {
    if (old !== null && isSame(old, row)) return
    // A key that the log does not know may have changed, and it would not say so.
    if (!this.#identified) return changes.addCoarse(this.entity)
    this.#write(changes, old ?? key ?? pick(row, this.#table.key), row, old !== null)
  }

  deleted(changes: TransactionChanges, { key, old }: Pgoutput.MessageDelete): void {
    if (!this.#identified) return changes.addCoarse(this.entity)
    this.#write(changes, old ?? key ?? {}, undefined, old !== null)
  }

  #write(changes: TransactionChanges, before: Texts | undefined, after: Texts | undefined, isWhole = false): void {
    const { entity } = this
    if (changes.isCoarse(entity)) return
    const [was, is] = [this.#keyOf(before), this.#keyOf(after)]
    if (was === null || is === null) return changes.addCoarse(entity)
    const fieldsBefore = before === undefined || !isWhole ? undefined : this.#fieldsOf(before)
    const fieldsAfter = after === undefined ? undefined : this.#fieldsOf(after)
    if (this.#table.part === true) {
      for (const key of [was, is]) if (key !== undefined) changes.add({ entity, key, action: 'update' })
      return
    }
    const isUpdate = was !== undefined && is !== undefined && JSON.stringify(was) === JSON.stringify(is)
    if (isUpdate) {
      const known = { ...(fieldsBefore && { before: fieldsBefore }), ...(fieldsAfter && { after: fieldsAfter }) }
      return changes.add({ entity, key: is, action: 'update', ...known })
    }
    if (was !== undefined)
      changes.add({ entity, key: was, action: 'delete', ...(fieldsBefore && { before: fieldsBefore }) })
    if (is !== undefined) changes.add({ entity, key: is, action: 'create', ...(fieldsAfter && { after: fieldsAfter }) })
  }

  /** `undefined` if there is no row, `null` if no store can have its key. */
  #keyOf(row: Texts | undefined) {
    if (row === undefined) return undefined
    const texts = this.#table.key.map((column) => row[columnName(column)])
    return wireKey(this.#types, texts) ?? null
  }

  #fieldsOf(row: Texts) {
    const { fields = {} } = this.#table
    if (Object.keys(fields).length === 0) return undefined
    const texts = Object.entries(fields).map(([field, column]) => [field, row[columnName(column)]] as const)
    return wireFields(this.#types, Object.fromEntries(texts))
  }
}

function pick(row: Texts, columns: readonly LiveColumn[]): Texts {
  return Object.fromEntries(columns.map((column) => [columnName(column), row[columnName(column)]]))
}

function isSame(one: Texts, other: Texts): boolean {
  return Object.keys(one).every((name) => one[name] === other[name])
}
