import type { ChangeSource, Key, MaybePromise, Row, Store } from '@rtapi/core'
import type { PathFinding } from './path-findings.ts'
import type { Thing } from './things.ts'

/**
 * Writes things as users of the library do. Outside of `transaction` each call is committed when it resolves. Within
 * one, each call has sent its statements when it resolves. An adapter adds what its own `paths` need to it.
 */
export interface ThingWriter {
  create(data: Thing): Promise<unknown>
  /** By loading and saving the record, or what the library offers for one record. */
  update(id: number, patch: Partial<Thing>): Promise<unknown>
  remove(id: number): Promise<unknown>
  /** Commits if the work resolves and rolls back if it rejects, then rejects with the same error. Within one: a savepoint. */
  transaction<T>(work: (writer: this) => Promise<T>): Promise<T>
}

/** A record that a path has changed. */
export interface ExpectedChange {
  /** @default the entity of things */
  readonly entity?: string
  readonly key: Key
  /** Absent: any will do, since the library cannot tell a create from an update here. */
  readonly action?: 'create' | 'update' | 'delete'
  /** The record did not change, and the library cannot tell: it may be announced all the same. */
  readonly unsure?: true
}

/** One of the ways in which the library can write records besides one by one. */
export interface WritePath<W> {
  /**
   * What the source makes of it: it names the records, it says that the entity changed, or it only counts the
   * statement as not captured, with the reason.
   */
  readonly as: 'captured' | 'coarse' | { readonly notCaptured: string }
  /** Makes ready what else it needs; committed before the source is watched. */
  prepare?(writer: W): Promise<void>
  /** Writes, with things 1, 2 and 3 to write on, and answers what that has changed. */
  run(writer: W): Promise<readonly ExpectedChange[]>
}

/** The paths about which each adapter has to say something, and how they are named in a table. */
export const pathTitles = {
  bulkInsert: 'insert of many records at once',
  bulkInsertIgnoringConflicts: 'insert of many, leaving those that are there',
  bulkInsertUpdatingConflicts: 'insert of many, updating those that are there',
  bulkInsertOfGeneratedKeys: 'insert of many, keys made by the database',
  bulkUpdate: 'update by a condition',
  bulkUpdateOfThousands: 'update of thousands by a condition',
  bulkUpdateOfCompositeKeys: 'update by a condition, of records with a key of several fields',
  bulkUpdateLimited: 'update by a condition, with a limit',
  bulkDelete: 'deletion by a condition',
  upsertNew: 'upsert of a new record',
  upsertExisting: 'upsert of a record that is there',
  upsertIgnored: 'upsert that leaves a record as it is',
  upsertByOtherKey: 'upsert by another unique field',
  increment: 'increment in the database',
  manyToManyAdd: 'many-to-many: add',
  manyToManyRemove: 'many-to-many: remove',
  manyToManySet: 'many-to-many: set',
  applicationCascade: 'deletion that the library passes on to children',
  databaseCascade: 'deletion that a foreign key passes on to children',
  databaseKeyCascade: 'change of a key that a foreign key passes on to children',
  databaseSetNull: 'deletion after which a foreign key sets null',
  softDelete: 'soft deletion',
  restore: 'restoring after a soft deletion',
  changeKey: 'change of a key',
  partialLoad: 'update of a record that is loaded in part',
  queryBuilder: 'query builder',
  rawSql: 'raw SQL',
  truncate: 'truncation of a table',
  procedure: 'procedure of the database',
} as const

export type PathName = keyof typeof pathTitles

/** Their names alone. */
export const pathNames: readonly PathName[] = Object.keys(pathTitles) as PathName[]

/** A source to try, over an empty table of `things` (see `thingFields`); it is not started. */
export interface ChangeSourceSubject<W extends ThingWriter = ThingWriter> {
  readonly source: ChangeSource
  readonly writer: W
  /** The store over the same table, if there is one: its writes name the transactions as the source does. */
  readonly store?: Store
  /** The record as somebody outside of every transaction sees it now, on another connection if there can be one. */
  readCommitted(id: number): MaybePromise<Row | undefined>
  /** How many writes the source has counted as not captured. Needed if a path is `notCaptured`. */
  uncaptured?(): number
  /** Waits until everything committed has been emitted, if the source emits later than at the end of the write. */
  settle?(): MaybePromise<void>
  /** Releases it; called at the end of each case. */
  close?(): MaybePromise<void>
}

export interface ChangeSourceFactory<W extends ThingWriter = ThingWriter> {
  /** Called once for each case. */
  open(): MaybePromise<ChangeSourceSubject<W>>
  /** The entity of things, as the source names it. @default 'things' */
  readonly entity?: string
  /** Whether several transactions can be open at once, or why not. */
  readonly concurrent: true | { readonly not: string }
  /** Runs a transaction that changes things and whose COMMIT fails; rejects. Or why there can be none. */
  readonly failingCommit: ((writer: W) => Promise<unknown>) | { readonly absent: string }
  /** Each path, or why the library has none. More paths may be added under names of one's own. */
  readonly paths: Readonly<Record<PathName, WritePath<W> | { readonly absent: string }>> &
    Readonly<Record<string, WritePath<W> | { readonly absent: string }>>
  /** Hears of each path what the suite has seen the source make of it: to make a table of, see `pathTable`. */
  found?(path: string, finding: PathFinding): void
  /** Seeds of the random transactions. @default [1, 2, 3] */
  readonly seeds?: readonly number[]
}
