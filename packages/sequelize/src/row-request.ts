import type { Sent } from './drivers/driver.ts'
import type { Followed } from './named-cascades.ts'
import type { Values } from './write-context.ts'

/** What a write asks the database besides its own result, to learn which rows it writes. */
export interface RowRequest {
  /** The columns of the rows that have to be known, those of the key first. */
  readonly columns: readonly string[]
  /** The statement can be made to return its rows, and its result can be told from them. */
  readonly returning: boolean
  /**
   * Where it cannot: selects the rows before it in the same transaction, so that nobody else can change which they are.
   * The last value of each row is the isolation level of the session.
   */
  readonly before?: () => Sent
  /** Where that would not find them: selects the rows after it. With fewer than `least` some have not been found. */
  readonly after?: { readonly select: () => Sent; readonly least: number }
}

/** A statement with what it has answered to a request. */
export interface Found {
  /** What Sequelize is to get. */
  readonly result: unknown
  /** The rows, as lists of the values of the columns; `undefined` if they are not known. */
  readonly rows: readonly (readonly unknown[])[] | undefined
  /** The statement itself has returned them, so that it has written all of them. */
  readonly isReturned?: boolean
  /** What the database has written by itself; `undefined` if that is not known. */
  readonly followed?: Followed | undefined
}

/** What was learnt of a write besides its result. */
export interface Told {
  /** The rows that were asked for; absent: they are not known. */
  readonly rows?: readonly Values[] | undefined
  /** Each of them was written; else some may only have been met. */
  readonly isReturned?: boolean | undefined
  /** What the database has written by itself; absent: it is not known. */
  readonly followed?: Followed | undefined
}
