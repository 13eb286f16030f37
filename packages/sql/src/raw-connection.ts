/** What the database answers to a statement, as far as it is read here. */
export interface RawResult {
  readonly rows: readonly Readonly<Record<string, unknown>>[]
  /** The id that the database has given to the inserted row, where it is not among `rows`. */
  readonly insertId?: unknown
}

/** A physical connection, past everything that watches it. */
export interface RawConnection {
  /** @param params - for `$1`, `$2` … on PostgreSQL, for `?` elsewhere. */
  send(sql: string, params?: readonly unknown[]): Promise<RawResult>
}

/** Lends a connection of the pool for as long as the work lasts. */
export type LendConnection = <T>(work: (connection: RawConnection) => Promise<T>) => Promise<T>
