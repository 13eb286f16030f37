import { AsyncLocalStorage } from 'node:async_hooks'
import {
  type RawConnection,
  type RawResult,
  type StagedTrack,
  type StagedTransaction,
  type StatementGate,
  type Statement,
  readStatement,
} from '@rtapi/sql'
import { connectionBehind } from './drivers/driver.ts'
import type { ModelClass } from './model-class.ts'

/** What is read here of the options of a statement. */
export interface QueryOptions {
  readonly transaction?: QueryTransaction | null
  readonly searchPath?: unknown
  readonly showWarnings?: unknown
}

/** What is read here of a transaction of Sequelize. */
export interface QueryTransaction {
  readonly parent?: QueryTransaction | null
  readonly options?: { readonly isolationLevel?: unknown }
}

/** A statement on its way to the database, as Sequelize makes it: one object for each try. */
export interface RunningQuery {
  readonly sequelize: object
  connection: object
  readonly options?: QueryOptions
  readonly model?: ModelClass
  readonly instance?: object
  run(sql: string, parameters?: unknown): Promise<unknown>
}

/** What is tapped of a dialect of Sequelize, of which each `Sequelize` has one of its own. */
export interface QueryDialect {
  Query: new (connection: object, sequelize: object, options: object) => RunningQuery
}

/** How Sequelize lends its connections. */
interface ConnectionManager {
  getConnection(options: object): Promise<object>
  releaseConnection(connection: object): void
}

/** Who knows of a statement what it writes. */
export interface StatementCapture {
  /** Sends the statement, and learns more of it than Sequelize does; absent: there is no more to learn. */
  readonly send?: (isInTransaction: boolean, send: () => Promise<unknown>) => Promise<unknown>
  /** The statement has been carried out with this result, in the transaction that is open on its connection. */
  written(result: unknown, transaction: StagedTransaction | undefined): void
}

interface Sent {
  readonly query: RunningQuery
  readonly sql: string
  readonly statement: Statement
  readonly capture: StatementCapture | undefined
}

/**
 * Sees every statement on each physical connection, whoever sent it: all of them are run by an object of the class
 * `Query` of the dialect. A statement is told to the track of its connection before whoever waits for it goes on.
 */
export class QueryTap {
  readonly #newTrack: () => StagedTrack
  readonly #captureOf: (query: RunningQuery, statement: Statement) => StatementCapture | undefined
  readonly #newGate: (track: StagedTrack, raw: RawConnection) => StatementGate | undefined
  readonly #tracks = new WeakMap<object, StagedTrack>()
  readonly #gates = new WeakMap<object, StatementGate | undefined>()
  /** The connection of the statement that is being sent: what it sends itself, such as a rollback, cannot wait for it. */
  readonly #sending = new AsyncLocalStorage<object>()
  #Query: QueryDialect['Query'] | undefined
  /** What knows of the statement which the track is being told of. */
  #current: { readonly capture: StatementCapture; readonly result: unknown } | undefined

  /** @param newGate - through which the statements of a connection go. */
  constructor(
    newTrack: () => StagedTrack,
    captureOf: (query: RunningQuery, statement: Statement) => StatementCapture | undefined,
    newGate: (track: StagedTrack, raw: RawConnection) => StatementGate | undefined = () => undefined,
  ) {
    this.#newTrack = newTrack
    this.#captureOf = captureOf
    this.#newGate = newGate
  }

  /** Taps all statements; returns the undo. */
  attach(dialect: QueryDialect): () => void {
    const run = this.#run.bind(this)
    const { Query } = dialect
    this.#Query = Query
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

  /** Lends a connection of the pool, past its track. */
  async lend<T>(sequelize: object, work: (connection: RawConnection) => Promise<T>): Promise<T> {
    const { connectionManager } = sequelize as { readonly connectionManager: ConnectionManager }
    const connection = await connectionManager.getConnection({ type: 'write', useMaster: true })
    try {
      const raw = this.#rawOf(connection, sequelize)
      const gate = this.#gateOf(connection, sequelize)
      // SQLite has one connection for all that is in no transaction.
      return await work(gate === undefined ? raw : { send: (sql, rest) => gate.inTurn(() => raw.send(sql, rest)) })
    } finally {
      connectionManager.releaseConnection(connection)
    }
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
    const connection = connectionBehind(query.connection)
    const gate = this.#gateOf(connection, query.sequelize)
    const work = async (): Promise<unknown> => this.#send({ query, sql, statement, capture }, send)
    if (gate === undefined || this.#sending.getStore() === connection) return work()
    return gate.pass({
      sql,
      statement,
      isKnown: capture !== undefined,
      send: async () => this.#sending.run(connection, work),
    })
  }

  async #send({ query, sql, statement, capture }: Sent, send: () => Promise<unknown>): Promise<unknown> {
    const track = this.trackOf(connectionBehind(query.connection))
    if (capture === undefined && !track.watches(statement)) return send()
    let result: unknown
    try {
      result = await (capture?.send === undefined ? send() : capture.send(track.transaction !== undefined, send))
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

  #gateOf(connection: object, sequelize: object): StatementGate | undefined {
    if (!this.#gates.has(connection)) {
      this.#gates.set(connection, this.#newGate(this.trackOf(connection), this.#rawOf(connection, sequelize)))
    }
    return this.#gates.get(connection)
  }

  #rawOf(connection: object, sequelize: object): RawConnection {
    return {
      send: async (sql, parameters) => {
        const Query = this.#Query
        if (Query === undefined) throw new Error('Sequelize is not tapped')
        const verb = /^[a-z]+/i.exec(sql)?.[0].toUpperCase() ?? ''
        const type = verb === 'SELECT' || verb === 'INSERT' ? verb : 'RAW'
        const query = new Query(connection, sequelize, { raw: true, logging: false, type })
        return readRaw(type, await query.run(sql, parameters))
      },
    }
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

/** PostgreSQL answers an insert with rows, others with the id. */
function readRaw(type: string, result: unknown): RawResult {
  const first = type === 'INSERT' && Array.isArray(result) ? (result[0] as unknown) : result
  if (Array.isArray(first)) return { rows: first as RawResult['rows'] }
  return { rows: [], insertId: first }
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
