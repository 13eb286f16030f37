import type { Dialect } from './dialects/dialect.ts'
import { OpenTransaction } from './open-transaction.ts'
import { type Statement, readStatement } from './statement.ts'

/** Who hears of what a connection does. */
export interface TrackHandlers<Entry> {
  /** An id for a transaction that has begun. */
  newId(): string
  /** A transaction has been committed. Must not throw. */
  committed(transaction: OpenTransaction<Entry>): void
  /** A statement that may write has succeeded. Must not throw. */
  written(sql: string, transaction: OpenTransaction<Entry> | undefined): void
}

/**
 * What is known of one physical connection. An adapter makes one for each, and tells it of every statement as soon as
 * the database has answered, whoever sent it: so it knows what is committed and what is rolled back as the database does,
 * by `begin`, `commit`, `rollback` and savepoints in the order in which they took effect. Hooks of the application that
 * fail, or events that an ORM does not send, cannot mislead it.
 */
export class ConnectionTrack<Entry> {
  /** The transaction that is open on the connection. */
  transaction: OpenTransaction<Entry> | undefined
  readonly #dialect: Dialect
  readonly #handlers: TrackHandlers<Entry>

  constructor(dialect: Dialect, handlers: TrackHandlers<Entry>) {
    this.#dialect = dialect
    this.#handlers = handlers
  }

  /** Whether the outcome of a statement matters; asked when it is sent, so that reads cost nothing. */
  watches(statement: Statement): boolean {
    const { failsAsAWhole, endsAtDeadlock } = this.#dialect
    // Reads that lock can fail like writes.
    return statement.type !== 'read' || (this.transaction !== undefined && (failsAsAWhole || endsAtDeadlock))
  }

  /** The database has carried the statement out. */
  succeeded(sql: string, statement: Statement = readStatement(sql)): void {
    const { transaction } = this
    switch (statement.type) {
      case 'read':
      case 'other':
        return
      case 'begin':
        // MariaDB and MySQL commit what is open then; others refuse, or warn and go on.
        if (this.#dialect.commitsAtDefinition) this.#commitImplicitly()
        this.transaction = new OpenTransaction(this.#handlers.newId())
        return
      case 'commit':
        this.transaction = undefined
        if (transaction !== undefined && !transaction.failed) this.#commit(transaction)
        return
      case 'rollback':
        this.transaction = undefined
        return
      case 'savepoint':
        if (transaction === undefined && this.#dialect.beginsAtSavepoint) {
          this.transaction = new OpenTransaction(this.#handlers.newId(), { endsWithSavepoint: true })
        }
        this.transaction?.savepoint(statement.name)
        return
      case 'release':
        if (transaction?.release(statement.name) === true && transaction.endsWithSavepoint) {
          this.transaction = undefined
          this.#commit(transaction)
        }
        return
      case 'rollbackTo':
        transaction?.rollbackTo(statement.name)
        return
      case 'definition':
        // What is temporary ends no transaction.
        if (this.#dialect.commitsAtDefinition && !/^\s*\w+\s+temporary\b/i.test(sql)) this.#commitImplicitly()
        return
      default:
        this.#handlers.written(sql, transaction)
        if (this.#dialect.commitsAtDefinition && /^\s*truncate\b/i.test(sql)) this.#commitImplicitly()
    }
  }

  /** The database, or the way to it, has refused the statement. */
  failed(error: unknown): void {
    const { transaction } = this
    if (transaction === undefined || typeof error !== 'object' || error === null) return
    const [code, number] = ['code', 'errno'].map((name) => Reflect.get(error, name) as unknown)
    // PostgreSQL answers the commit of a failed transaction with success, and rolls back.
    if (this.#dialect.failsAsAWhole && typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code)) transaction.failed = true
    if (this.#dialect.endsAtDeadlock && (code === 'ER_LOCK_DEADLOCK' || number === 1213)) this.transaction = undefined
  }

  #commit(transaction: OpenTransaction<Entry>): void {
    transaction.committed = true
    this.#handlers.committed(transaction)
  }

  /** The database has ended the transaction; the application will still send its `commit` or `rollback`. */
  #commitImplicitly(): void {
    const { transaction } = this
    this.transaction = undefined
    if (transaction !== undefined) this.#commit(transaction)
  }
}
