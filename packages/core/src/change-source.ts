import type { MaybePromise } from './runtime.ts'
import type { Json, Key } from './value.ts'

/** A committed fact about one record. */
export interface Change {
  readonly type: 'change'
  /** The entity whose record changed, as `Store.entity` names it. */
  readonly entity: string
  readonly key: Key
  readonly action: 'create' | 'update' | 'delete'
  /**
   * Field values before and after, as far as they are known without a query, in wire form; a missing field is unknown.
   * They only route the change to its groups; what clients see is read again from the store.
   */
  readonly before?: Readonly<Record<string, Json>>
  readonly after?: Readonly<Record<string, Json>>
}

/** "Something about this entity changed, I cannot say which records": the views of it are queried again. */
export interface CoarseChange {
  readonly type: 'coarse'
  readonly entity: string
}

/** What one transaction changed. */
export interface ChangeBatch {
  /** Opaque id of the transaction; a store's write answers with the same id. 1–64 printable ASCII characters. */
  readonly tx: string
  readonly changes: readonly (Change | CoarseChange)[]
}

/**
 * Tells which records were changed by committed transactions.
 *
 * A source MUST emit after the outermost commit has succeeded, and before the promise of the write resolves to its
 * caller if it can. It MUST emit each changed record once per transaction, and each path by which records can be
 * written is captured, coarse, or documented as not captured.
 *
 * It MUST NOT emit anything of a transaction that was rolled back, or whose commit failed. It MUST NOT throw into the
 * ORM, wait inside its hooks, or query outside the running transaction before it has ended.
 */
export interface ChangeSource {
  /**
   * Whether a write is emitted only after its promise has resolved. Where all sources of an API are late, a write's reply
   * says `pending`, since the writer's own views may not contain it yet. @default false
   */
  readonly late?: boolean
  /**
   * Begins to emit. Called once. `emit` never throws and never waits. It answers `false` if the channel layer has not
   * taken everything, and anything else if it has: at once, or by a promise that never rejects. A source that keeps what
   * it announces, so that nothing is lost if the process dies, waits for that and announces again what was not taken;
   * others need not look.
   */
  start(emit: (batch: ChangeBatch) => unknown): MaybePromise<void>
  /** Ends: nothing is emitted afterwards. */
  stop(): MaybePromise<void>
}
