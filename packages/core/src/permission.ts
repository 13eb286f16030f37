import type { Where } from './filter.ts'
import type { MaybePromise } from './runtime.ts'
import type { Session, User } from './session.ts'
import type { Row } from './value.ts'

/** Actions every resource knows; a resource may have its own beside them. */
export type StandardAction = 'list' | 'get' | 'describe' | 'subscribe' | 'create' | 'update' | 'delete'

/** What a permission may look at besides a row. */
export interface PermissionContext<U extends User = User> {
  readonly session: Session<U>
  readonly resource: string
  /** A `StandardAction` or the name of one of the resource's own actions. */
  readonly action: string
  /** Whether a row matches a filter, as the resource's store would say it. */
  matches(where: Where, row: Row): boolean
}

/**
 * Says what a session may do with a resource. One definition serves reads, subscriptions, deliveries and writes.
 * A member that is absent permits. All are asked with the same context; a member that throws, or takes longer than the
 * limit (5 s), denies.
 */
export interface Permission<R = Row, U extends User = User> {
  /** Whether the session may use the action at all. Looks at no row. `false` is `forbidden`. */
  allows?(context: PermissionContext<U>): MaybePromise<boolean>
  /**
   * Which rows exist for the session, as a filter: it is compiled into queries and evaluated on changed rows. For a
   * write action it says which of the readable rows may be written; the others are `forbidden`.
   */
  scope?(context: PermissionContext<U>): MaybePromise<Where<R> | boolean>
  /**
   * Judges a write on one record: as it is, and again as it would become; for a create, as it would be. The fields
   * which it reads are pinned in the statement that writes, so that the record judged is the record written.
   * `false` is `forbidden`.
   */
  allowsRecord?(context: PermissionContext<U>, row: Partial<R>): MaybePromise<boolean>
  /** The fields the session may see, filter by and sort by; `true` is all of the resource's fields. */
  fields?(context: PermissionContext<U>): MaybePromise<readonly (keyof R & string)[] | boolean>
}
