import type { AbstractSqlConnection } from '@mikro-orm/sql'
import {
  type RawConnection,
  type RawResult,
  type StagedTrack,
  type Statement,
  type StatementGate,
  readStatement,
} from '@rtapi/sql'
import { Arrivals } from './arrivals.ts'

/** A query as Kysely compiles it. */
interface Query {
  readonly sql: string
  readonly parameters?: readonly unknown[]
}

/** What the tap needs of a connection to the database, which MikroORM gets from its query compiler Kysely. */
interface PhysicalConnection {
  executeQuery(query: Query, options?: unknown): Promise<unknown>
  streamQuery?(query: Query, ...rest: readonly unknown[]): AsyncIterableIterator<unknown>
}

/** Lends connections. Derived executors lend them from the same pool. */
interface Executor {
  provideConnection<T>(consumer: (connection: PhysicalConnection) => Promise<T>, options?: unknown): Promise<T>
  withPlugins(plugins: unknown): Executor
  withPlugin(plugin: unknown): Executor
  withPluginAtFront(plugin: unknown): Executor
  withoutPlugins(): Executor
}

/** Shows every statement on each physical connection to the track of that connection, whoever sent it. */
export class ConnectionTap {
  readonly #newTrack: () => StagedTrack
  readonly #newGate: (track: StagedTrack, raw: RawConnection) => StatementGate | undefined
  readonly #raw = new WeakMap<PhysicalConnection, RawConnection>()
  #connection: AbstractSqlConnection | undefined
  #hasConnected = false
  readonly #tracks = new WeakMap<PhysicalConnection, StagedTrack>()
  readonly #links = new WeakMap<object, StagedTrack>()
  readonly #arrivals = new Arrivals()
  #isClosing = false

  /** @param newGate - through which the statements of a connection go. */
  constructor(
    newTrack: () => StagedTrack,
    newGate: (track: StagedTrack, raw: RawConnection) => StatementGate | undefined = () => undefined,
  ) {
    this.#newTrack = newTrack
    this.#newGate = newGate
  }

  /** Taps the connections of this pool, also after MikroORM has opened it anew. */
  attach(connection: AbstractSqlConnection): void {
    this.#connection = connection
    // A connection that arrives in a pool of Kysely which has been closed is lost, and the end of the pool with it.
    const close = connection.close.bind(connection)
    connection.close = async (force) => {
      this.#isClosing = true
      try {
        await this.#arrivals.all()
        await close(force)
      } finally {
        this.#isClosing = false
      }
    }
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
  trackOf(context: object): StagedTrack | Promise<StagedTrack> {
    return this.#links.get(context) ?? this.#link(context)
  }

  /** Lends a connection of the pool, past its track. */
  async lend<T>(work: (connection: RawConnection) => Promise<T>): Promise<T> {
    const pool = this.#connection
    if (pool === undefined) throw new Error('MikroORM has no connection')
    if (Reflect.get(pool, 'connected') !== true) {
      // What would be opened again now nobody would close.
      if (this.#hasConnected) throw new Error('MikroORM is closed')
      await pool.ensureConnection()
    }
    this.#hasConnected = true
    return executorOf(pool).provideConnection(async (connection) => {
      this.#tap(connection)
      const raw = this.#raw.get(connection)
      if (raw === undefined) throw new Error('the connection is not tapped')
      return work(raw)
    })
  }

  async #link(context: object): Promise<StagedTrack> {
    const { getExecutor } = context as { getExecutor?: () => Executor }
    if (getExecutor === undefined) throw new TypeError('the context of a transaction is not one of Kysely')
    const track = await getExecutor.call(context).provideConnection(async (connection) => this.#tap(connection))
    this.#links.set(context, track)
    return track
  }

  #tapClient(connection: AbstractSqlConnection): void {
    this.#tapExecutor(executorOf(connection))
  }

  readonly #tapped = new WeakSet<Executor>()

  #tapExecutor(executor: Executor): Executor {
    if (this.#tapped.has(executor)) return executor
    this.#tapped.add(executor)
    const provide = executor.provideConnection.bind(executor)
    const tap = (connection: PhysicalConnection): void => void this.#tap(connection)
    executor.provideConnection = (consumer, options) => {
      // As Kysely says it to whoever comes a moment later.
      if (this.#isClosing) return Promise.reject(new Error('driver has already been destroyed'))
      const arrived = this.#arrivals.expect()
      const provided = provide((connection) => {
        arrived()
        tap(connection)
        return consumer(connection)
      }, options)
      // It may be that there was none.
      provided.then(undefined, arrived)
      return provided
    }
    for (const name of ['withPlugins', 'withPlugin', 'withPluginAtFront', 'withoutPlugins'] as const) {
      const derive = executor[name].bind(executor)
      executor[name] = (plugin?: unknown) => this.#tapExecutor(derive(plugin))
    }
    return executor
  }

  #tap(connection: PhysicalConnection): StagedTrack {
    const known = this.#tracks.get(connection)
    if (known !== undefined) return known
    const track = this.#newTrack()
    this.#tracks.set(connection, track)
    const execute = connection.executeQuery.bind(connection)
    const raw = rawConnection(execute)
    this.#raw.set(connection, raw)
    const gate = this.#newGate(track, raw)
    const send = (query: Query, statement: Statement, options: unknown): Promise<unknown> => {
      const result = execute(query, options)
      if (!track.watches(statement)) return result
      // Settled before whoever waits for the statement goes on, since nobody has asked earlier.
      result.then(
        () => track.succeeded(query.sql, statement),
        (error: unknown) => track.failed(error),
      )
      return result
    }
    connection.executeQuery = (query, options) => {
      const { sql } = query
      const statement = readStatement(sql)
      if (gate === undefined) return send(query, statement, options)
      return gate.pass({ sql, statement, send: () => send(query, statement, options) })
    }
    const stream = connection.streamQuery?.bind(connection)
    if (stream !== undefined) {
      connection.streamQuery = (query, ...rest) => this.#watch(track, query.sql, stream(query, ...rest))
    }
    return track
  }

  /** A statement whose rows are read one by one is done when they have been, or when nobody asks for more. */
  async *#watch(
    track: StagedTrack,
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
      if (failure === undefined) track.succeeded(sql)
      else track.failed(failure.error)
    }
  }
}

function executorOf(connection: AbstractSqlConnection): Executor {
  return (connection.getClient() as unknown as { getExecutor(): Executor }).getExecutor()
}

function rawConnection(execute: PhysicalConnection['executeQuery']): RawConnection {
  return {
    async send(sql, parameters = []) {
      // What Kysely calls a compiled query; it cancels none that it does not know.
      const query = { sql, parameters, query: { kind: 'RawNode' }, queryId: { queryId: 'rtapi' } }
      return (await execute(query)) as RawResult
    },
  }
}
