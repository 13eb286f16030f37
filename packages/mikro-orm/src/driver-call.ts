import type { AsyncLocalStorage } from 'node:async_hooks'
import type { StagedTransaction } from '@rtapi/sql'

/** A statement that has written something. */
export interface SentStatement {
  readonly sql: string
  readonly transaction: StagedTransaction | undefined
}

/** A call of the driver that is under way. What its statements write is told by whoever has made the call. */
export interface DriverCall {
  /** Whether the rows of its statement are to be named by the statement, since nobody else can. */
  readonly names?: boolean
  /** Whether what the database writes by foreign keys is to be named. */
  readonly dependents?: boolean
  /** Whether the rows of pivot tables that it writes on the way are to be named. */
  readonly pivots?: boolean
  /** The statements that have succeeded, in case that the call fails after them. */
  readonly sent?: SentStatement[] | undefined
  /** The statement has told of all rows that it has written. */
  named?: boolean
  /** The statement has told of all that the database has written by foreign keys. */
  namedDependents?: boolean
}

/** Keeps apart the statements of the driver, which are known, from those that the application sends. */
export type DriverCalls = AsyncLocalStorage<DriverCall>

/** Statements of which nobody needs to hear. */
export const silent: DriverCall = Object.freeze({})
