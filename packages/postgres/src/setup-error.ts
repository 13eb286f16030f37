/** What is wrong with the database, in a form for programs. Stable. */
export type SetupErrorCode =
  /** What the source reads from is not there, or hears nothing of some tables. */
  | 'not_installed'
  /** A table or column of the description does not exist, or is of a kind that cannot be captured. */
  | 'wrong_table'
  /** The role that installs lacks rights; the message names each. */
  | 'missing_rights'
  /** The server is too old, or is not set up for what was asked. */
  | 'unsupported'
  /** The replication slot was lost, so that changes may have gone by unseen. */
  | 'slot_lost'

/** The database is not as it must be; the message says what is wrong and what to do. */
export class SetupError extends Error {
  override readonly name = 'SetupError'
  readonly code: SetupErrorCode

  constructor(code: SetupErrorCode, message: string) {
    super(message)
    this.code = code
  }
}
