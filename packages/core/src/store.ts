import type { Filter } from './filter.ts'
import type { MaybePromise } from './runtime.ts'
import type { FieldType, Key, OrderTerm, Row } from './value.ts'

/** What a store knows of one field. */
export interface FieldDescription {
  readonly type: FieldType
  readonly nullable: boolean
  /** The field has a value when `create` does not give it one. */
  readonly optional?: boolean
}

/** What a store knows of its records. */
export interface StoreDescription {
  /** Names of the key's fields, in order; one for a simple key. */
  readonly key: readonly string[]
  readonly fields: Readonly<Record<string, FieldDescription>>
}

/** A query in normal form. The order is total: it ends with the key fields. */
export interface Query {
  readonly where: Filter
  readonly order: readonly OrderTerm[]
  /** At most so many rows; absent: all. */
  readonly limit?: number
}

/** The record after a write (before it, for a delete), and the transaction that wrote it. */
export interface WriteResult {
  readonly row: Row
  /** As the change source names the transaction; absent when the store cannot tell. */
  readonly tx?: string
}

/**
 * Reads and writes the records of one entity. Rows are in wire form (see `FieldType`), with every described field.
 *
 * A store MUST compile `where` into the statement that touches the rows, with the meanings of `Filter`: text is compared
 * by code point, null sorts lowest, `ne` and `nin` match null. `update` and `delete` MUST touch the record only if it
 * matches `where` at that time, in one statement or under a lock that they take with that same condition. Reads MUST see
 * every transaction whose change was already emitted: no lagging replica.
 *
 * A store MUST NOT judge permissions, and MUST NOT show database errors: it throws `RtapiError` `conflict` for a broken
 * uniqueness or reference, `invalid` for data that does not fit, anything else as it is (which becomes `internal`).
 */
export interface Store<R extends Row = Row, Create = Row, Update = Row> {
  /** The name under which change sources announce these records. */
  readonly entity: string
  describe(): StoreDescription
  /** The records that exist among these keys, in any order, by one query. */
  read(keys: readonly Key[]): MaybePromise<readonly R[]>
  find(query: Query): MaybePromise<readonly R[]>
  create(data: Create): MaybePromise<WriteResult>
  /** Changes the given fields of one record; `null` if no record has the key and matches `where`. */
  update(key: Key, patch: Update, where: Filter): MaybePromise<WriteResult | null>
  /** Deletes one record; `null` if no record has the key and matches `where`. */
  delete(key: Key, where: Filter): MaybePromise<WriteResult | null>
}
