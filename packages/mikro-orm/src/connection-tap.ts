import type { AbstractSqlConnection } from '@mikro-orm/sql'
import type { Dialect } from './dialects/dialect.ts'
import { type Statement, readStatement } from './statement.ts'

/** What the tap needs of a connection to the database, which MikroORM gets from its query compiler Kysely. */
interface PhysicalConnection {
  executeQuery(query: { readonly sql: string }, ...rest: readonly unknown[]): Promise<unknown>
  streamQuery?(query: { readonly sql: string }, ...rest: readonly unknown[]): AsyncIterableIterator<unknown>
}

/** Lends connections. Derived executors lend them from the same pool. */
interface Executor {
  provideConnection<T>(
    consumer: (connection: PhysicalConnection) => Promise<T>,
    ...rest: readonly unknown[]
  ): Promise<T>
  withPlugins(plugins: unknown): Executor
  withPlugin(plugin: unknown): Executor
  withPluginAtFront(plugin: unknown): Executor
  withoutPlugins(): Executor
}

/** An open transaction of a connection, with what has been written in it. */
export class OpenTransaction<Entry> {
  readonly id: string
  readonly #entries: Entry[] = []
  readonly #savepoints: { readonly name: string; readonly length: number }[] = []
  /** A statement failed, and the database will turn the commit into a rollback. */
  failed = false
  committed = false
  /** Something of it was announced. */
  announced = false
  /** SQLite: a savepoint began it, and the end of that savepoint commits it. */
  readonly endsWithSavepoint: boolean

  constructor(id: string, options: { readonly endsWithSavepoint?: boolean } = {}) {
    this.id = id
    this.endsWithSavepoint = options.endsWithSavepoint === true
  }

  get entries(): readonly Entry[] {
    return this.#entries
  }

  add(entry: Entry): void {
    this.#entries.push(entry)
  }

  savepoint(name: string): void {
    this.#savepoints.push({ name, length: this.#entries.length })
  }

  /** The savepoint and those within it are gone; what was written since remains. Answers whether it was the outermost. */
  release(name: string): boolean {
    const index = this.#indexOf(name)
    if (index !== -1) this.#savepoints.length = index
    return index === 0
  }

  /** What was written since the savepoint is undone; it remains itself. */
  rollbackTo(name: string): void {
    const index = this.#indexOf(name)
    const savepoint = this.#savepoints[index]
    if (savepoint === undefined) return
    this.#entries.length = savepoint.length
    this.#savepoints.length = index + 1
    this.failed = false
  }

  /** Everything is undone, but the transaction is still open for the application. */
  undo(): void {
    this.#entries.length = 0
    this.#savepoints.length = 0
  }

  #indexOf(name: string): number {
    return this.#savepoints.findLastIndex((savepoint) => savepoint.name === name)
  }
}

/** What is known of one physical connection. */
export interface ConnectionTrack<Entry> {
  transaction: OpenTransaction<Entry> | undefined
}

export interface TapHandlers<Entry> {
  newId(): string
  /** A transaction has been committed. Must not throw. */
  committed(transaction: OpenTransaction<Entry>): void
  /** A statement that may write has succeeded. Must not throw. */
  written(sql: string, transaction: OpenTransaction<Entry> | undefined): void
}

/**
 * Sees every statement on each physical connection, whoever sent it, and so knows what is committed and what is rolled
 * back as the database does: by `begin`, `commit`, `rollback` and savepoints in the order in which they took effect.
 * Listeners of the application that fail, or events that a driver does not send, cannot mislead it.
 */
export class ConnectionTap<Entry> {
  readonly #dialect: Dialect
  readonly #handlers: TapHandlers<Entry>
  readonly #tracks = new WeakMap<PhysicalConnection, ConnectionTrack<Entry>>()
  readonly #links = new WeakMap<object, ConnectionTrack<Entry>>()

  constructor(dialect: Dialect, handlers: TapHandlers<Entry>) {
    this.#dialect = dialect
    this.#handlers = handlers
  }

  /** Taps the connections of this pool, also after MikroORM has opened it anew. */
  attach(connection: AbstractSqlConnection): void {
    const create = connection.createKysely.bind(connection)
    connection.createKysely = () => {
      const created = create()
      return created instanceof Promise ? created.then(() => this.#tapClient(connection)) : this.#tapClient(connection)
    }
    try {
      // Creates the pool where none is; that opens no connection.
      this.#tapClient(connection)
    } catch {
      // It can only be created asynchronously, at the first use.
    }
  }

  /** The connection on which a transaction of MikroORM runs, by its context. */
  trackOf(context: object): ConnectionTrack<Entry> | Promise<ConnectionTrack<Entry>> {
    return this.#links.get(context) ?? this.#link(context)
  }

  async #link(context: object): Promise<ConnectionTrack<Entry>> {
    const { getExecutor } = context as { getExecutor?: () => Executor }
    if (getExecutor === undefined) throw new TypeError('the context of a transaction is not one of Kysely')
    const track = await getExecutor.call(context).provideConnection(async (connection) => this.#tap(connection))
    this.#links.set(context, track)
    return track
  }

  #tapClient(connection: AbstractSqlConnection): void {
    const client = connection.getClient() as unknown as { getExecutor(): Executor }
    this.#tapExecutor(client.getExecutor())
  }

  readonly #tapped = new WeakSet<Executor>()

  #tapExecutor(executor: Executor): Executor {
    if (this.#tapped.has(executor)) return executor
    this.#tapped.add(executor)
    const provide = executor.provideConnection.bind(executor)
    const tap = (connection: PhysicalConnection): void => void this.#tap(connection)
    executor.provideConnection = function provideConnection(consumer, ...rest) {
      return provide(
        function consume(connection) {
          tap(connection)
          return consumer(connection)
        },
        ...rest,
      )
    }
    for (const name of ['withPlugins', 'withPlugin', 'withPluginAtFront', 'withoutPlugins'] as const) {
      const derive = executor[name].bind(executor)
      executor[name] = (plugin?: unknown) => this.#tapExecutor(derive(plugin))
    }
    return executor
  }

  #tap(connection: PhysicalConnection): ConnectionTrack<Entry> {
    const known = this.#tracks.get(connection)
    if (known !== undefined) return known
    const track: ConnectionTrack<Entry> = { transaction: undefined }
    this.#tracks.set(connection, track)
    const execute = connection.executeQuery.bind(connection)
    connection.executeQuery = (query, ...rest) => {
      const result = execute(query, ...rest)
      const statement = readStatement(query.sql)
      if (statement.type === 'read' && (track.transaction === undefined || !this.#dialect.failsAsAWhole)) return result
      // Settled before whoever waits for the statement goes on, since nobody has asked earlier.
      result.then(
        () => this.#succeeded(track, statement, query.sql),
        (error: unknown) => this.#failed(track, error),
      )
      return result
    }
    const stream = connection.streamQuery?.bind(connection)
    if (stream !== undefined) {
      connection.streamQuery = (query, ...rest) => this.#watch(track, query.sql, stream(query, ...rest))
    }
    return track
  }

  /** A statement whose rows are read one by one is done when they have been, or when nobody asks for more. */
  async *#watch(
    track: ConnectionTrack<Entry>,
    sql: string,
    results: AsyncIterableIterator<unknown>,
  ): AsyncIterableIterator<unknown> {
    let failure: { readonly error: unknown } | undefined
    try {
      yield* results
    } catch (error) {
      failure = { error }
      throw error
    } finally {
      if (failure === undefined) this.#succeeded(track, readStatement(sql), sql)
      else this.#failed(track, failure.error)
    }
  }

  #succeeded(track: ConnectionTrack<Entry>, statement: Statement, sql: string): void {
    const { transaction } = track
    switch (statement.type) {
      case 'read':
      case 'other':
        return
      case 'begin':
        track.transaction = new OpenTransaction(this.#handlers.newId())
        return
      case 'commit':
        track.transaction = undefined
        if (transaction !== undefined && !transaction.failed) this.#commit(transaction)
        return
      case 'rollback':
        track.transaction = undefined
        return
      case 'savepoint':
        track.transaction ??= new OpenTransaction(this.#handlers.newId(), { endsWithSavepoint: true })
        track.transaction.savepoint(statement.name)
        return
      case 'release':
        if (transaction?.release(statement.name) === true && transaction.endsWithSavepoint) {
          track.transaction = undefined
          this.#commit(transaction)
        }
        return
      case 'rollbackTo':
        transaction?.rollbackTo(statement.name)
        return
      case 'definition':
        if (this.#dialect.commitsAtDefinition) this.#commitImplicitly(track)
        return
      default:
        this.#handlers.written(sql, transaction)
        if (this.#dialect.commitsAtDefinition && /^\s*truncate\b/i.test(sql)) this.#commitImplicitly(track)
    }
  }

  #commit(transaction: OpenTransaction<Entry>): void {
    transaction.committed = true
    this.#handlers.committed(transaction)
  }

  /** The database has ended the transaction; the application will still send its `commit` or `rollback`. */
  #commitImplicitly(track: ConnectionTrack<Entry>): void {
    if (track.transaction !== undefined) this.#commit(track.transaction)
    track.transaction = undefined
  }

  #failed({ transaction }: ConnectionTrack<Entry>, error: unknown): void {
    if (transaction === undefined) return
    const code: unknown =
      typeof error === 'object' && error !== null ? (Reflect.get(error, 'code') as unknown) : undefined
    // PostgreSQL answers the commit of a failed transaction with success, and rolls back.
    if (this.#dialect.failsAsAWhole && typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code)) transaction.failed = true
    // A deadlock costs MariaDB and MySQL the whole transaction.
    if (code === 'ER_LOCK_DEADLOCK') transaction.undo()
  }
}
