import { type StagedTrack, type StagedTransaction, type Statement, readStatement } from '@rtapi/sql'
import type { ModelClass } from './model-class.ts'

/** A statement on its way to the database, as Sequelize makes it: one object for each try. */
export interface RunningQuery {
  readonly connection: object
  readonly model?: ModelClass
  readonly instance?: object
  run(sql: string, parameters?: unknown): Promise<unknown>
}

/** What is tapped of a dialect of Sequelize, of which each `Sequelize` has one of its own. */
export interface QueryDialect {
  Query: new (connection: object, sequelize: object, options: object) => RunningQuery
}

/** Who knows of a statement what it writes. */
export interface StatementCapture {
  /** The statement has been carried out with this result, in the transaction that is open on its connection. */
  written(result: unknown, transaction: StagedTransaction | undefined): void
}

/**
 * Sees every statement on each physical connection, whoever sent it: all of them are run by an object of the class
 * `Query` of the dialect. A statement is told to the track of its connection before whoever waits for it goes on.
 */
export class QueryTap {
  readonly #newTrack: () => StagedTrack
  readonly #captureOf: (query: RunningQuery, statement: Statement) => StatementCapture | undefined
  readonly #tracks = new WeakMap<object, StagedTrack>()
  /** What knows of the statement which the track is being told of. */
  #current: { readonly capture: StatementCapture; readonly result: unknown } | undefined

  constructor(
    newTrack: () => StagedTrack,
    captureOf: (query: RunningQuery, statement: Statement) => StatementCapture | undefined,
  ) {
    this.#newTrack = newTrack
    this.#captureOf = captureOf
  }

  /** Taps all statements; returns the undo. */
  attach(dialect: QueryDialect): () => void {
    const run = this.#run.bind(this)
    const { Query } = dialect
    const isOwn = Object.hasOwn(dialect, 'Query')
    class TappedQuery extends Query {
      override async run(sql: string, parameters?: unknown): Promise<unknown> {
        return run(this, sql, async () => super.run(sql, parameters))
      }
    }
    dialect.Query = TappedQuery
    return () => {
      // Somebody may have put another class on top.
      if (dialect.Query !== TappedQuery) return
      if (isOwn) dialect.Query = Query
      else Reflect.deleteProperty(dialect, 'Query')
    }
  }

  /** What is known of a connection. */
  trackOf(connection: object): StagedTrack {
    const known = this.#tracks.get(connection)
    if (known !== undefined) return known
    const track = this.#newTrack()
    this.#tracks.set(connection, track)
    return track
  }

  /** Lets the capture of the statement of which the track is told say what it has written; answers whether there is one. */
  tell(transaction: StagedTransaction | undefined): boolean {
    if (this.#current === undefined) return false
    this.#current.capture.written(this.#current.result, transaction)
    return true
  }

  async #run(query: RunningQuery, sql: string, send: () => Promise<unknown>): Promise<unknown> {
    const statement = readStatement(sql)
    const capture = this.#captureOf(query, statement)
    const track = this.trackOf(query.connection)
    if (capture === undefined && !track.watches(statement)) return send()
    let result: unknown
    try {
      result = await send()
    } catch (error) {
      const cause = causeOf(error)
      if (cause !== undefined) track.failed(cause)
      // It was carried out, and what came back could not be read.
      else if (statement.type === 'write' && !isRefusal(error)) track.succeeded(sql, statement)
      throw error
    }
    if (capture === undefined) track.succeeded(sql, isUndone(statement, result) ? { type: 'rollback' } : statement)
    else this.#tellTrack(track, sql, statement, { capture, result })
    return result
  }

  #tellTrack(
    track: StagedTrack,
    sql: string,
    statement: Statement,
    current: { readonly capture: StatementCapture; readonly result: unknown },
  ): void {
    this.#current = current
    try {
      // `findOrCreate` inserts by a function that it creates for that.
      track.succeeded(sql, statement.type === 'definition' ? { type: 'write' } : statement)
    } finally {
      this.#current = undefined
    }
  }
}

/** PostgreSQL says of the commit of a failed transaction that it has rolled it back. */
function isUndone(statement: Statement, result: unknown): boolean {
  if (statement.type !== 'commit' || !Array.isArray(result)) return false
  const [, answer] = result as unknown[]
  return typeof answer === 'object' && answer !== null && Reflect.get(answer, 'command') === 'ROLLBACK'
}

/** What the driver has thrown; `undefined` if it has not. */
function causeOf(error: unknown): Error | undefined {
  if (!(error instanceof Error)) return undefined
  for (const name of ['original', 'parent']) {
    const cause: unknown = Reflect.get(error, name)
    if (cause instanceof Error) return cause
  }
  return 'code' in error || 'errno' in error ? error : undefined
}

/**
 * Sequelize itself says that nothing was written: a function of its own has caught that a value is taken already, in
 * which case the transaction goes on, or a row was left out.
 */
function isRefusal(error: unknown): boolean {
  return error instanceof Error && /^Sequelize(UniqueConstraint|EmptyResult)Error$/.test(error.name)
}
