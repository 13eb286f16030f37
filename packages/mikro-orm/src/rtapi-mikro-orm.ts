import type { Configuration, EntityManager, EntityName, MetadataStorage } from '@mikro-orm/core'
import { AbstractSqlDriver, type SqlEntityManager } from '@mikro-orm/sql'
import type { ChangeSource, Report, Store } from '@rtapi/core'
import { AsyncLocalStorage } from 'node:async_hooks'
import {
  type OutboxControl,
  type OutboxOptions,
  StagedWrites,
  type UncapturedStatement,
  UncapturedWrites,
  openOutbox,
  readWrites,
} from '@rtapi/sql'
import { CollectionCapture } from './collection-capture.ts'
import { Dependents } from './dependents.ts'
import { dialectOf } from './dialect-of.ts'
import type { DriverCalls } from './driver-call.ts'
import { DriverTransactions } from './driver-transactions.ts'
import { EntityBook } from './entity-book.ts'
import type { EntityShape } from './entity-shape.ts'
import { NativeCapture } from './native-capture.ts'
import { type EntityFilters, OrmStore, type OrmStoreContext } from './orm-store.ts'
import { ContextStaging, type TransactionContext } from './context-staging.ts'
import { StatementCapture } from './statement-capture.ts'
import { UnitOfWorkCapture } from './unit-of-work-capture.ts'
import type { StoreRow, WireData } from './wire-row.ts'

/** What is needed of a `MikroORM` on a SQL driver. */
export interface SqlOrm {
  readonly em: SqlEntityManager
  getMetadata(): MetadataStorage
}

export interface RtapiMikroOrmOptions {
  /**
   * Hears of failures that nobody waits for, and once of each kind of statement that could not be captured.
   * @default MikroORM's own logger, as warnings
   */
  readonly report?: Report
  /**
   * Makes the entity manager of one operation of a store; it must be a new one. Set the parameters of filters here, or
   * a schema. @default a fork of `orm.em` outside of any request or transaction
   */
  readonly fork?: () => EntityManager
  /**
   * What an entity held when it was loaded is taken for what its record held when it was written. Changes then travel
   * to fewer views; but if somebody else changed a field between the load and the flush by which views are grouped, a
   * view may miss the change. Without it, such values count only where the flush has checked a version, or the store has
   * locked the record. @default false
   */
  readonly trustLoaded?: boolean
  /**
   * Keeps what is committed in a table of the database, in the same transaction, until it has been announced, so that
   * nothing is lost if the process dies in between. The table must exist: see `RtapiMikroOrm.outbox`. @default `false`
   */
  readonly outbox?: boolean | OutboxOptions
  /**
   * What is announced of records that the database deletes or changes by its foreign keys when others are deleted.
   * `named`: each record; or a list of the entities of which each record is named. That locks the deleted records and
   * costs a query of them and one of each such relation. `coarse`: all views of the entities are queried again.
   * @default 'coarse'
   */
  readonly cascades?: 'coarse' | 'named' | readonly string[]
  /** Of how many records a statement that says not which it writes is told by their keys. 0: of none. @default 1_000 */
  readonly coarseKeys?: number
}

export interface EntityStoreOptions<Excluded extends string = never> {
  /** Fields that the store does not have, by their names on the wire. @default none */
  readonly exclude?: readonly Excluded[]
  /** MikroORM's filters of the entity, as in `em.find`. @default those that are on by default */
  readonly filters?: EntityFilters
}

/** A store of the records of an entity, typed from it. */
export type EntityStore<E, Excluded extends string = never> = Store<
  StoreRow<E, Excluded>,
  WireData<StoreRow<E, Excluded>>,
  WireData<StoreRow<E, Excluded>>
>

/** MikroORM's part of an API: stores of its entities, and the source of their changes. */
export interface RtapiMikroOrm {
  /**
   * A store of the records of an entity.
   * @throws TypeError if the key of the entity refers to a composite key, its rows are spread over several tables, or
   *   `exclude` names a field that does not exist or belongs to the key.
   */
  store<E extends object, Excluded extends string = never>(
    entity: EntityName<E>,
    options?: EntityStoreOptions<Excluded>,
  ): EntityStore<E, Excluded>
  /** The source of all changes that are written through this `MikroORM`, of every entity. Each call makes one. */
  changes(): ChangeSource
  /** The kinds of statements that could not be captured, with how often they came. */
  uncaptured(): readonly UncapturedStatement[]
  /** Creates the table of the outbox, and measures it; `undefined` without the option. */
  readonly outbox: OutboxControl | undefined
  /** Lets go of MikroORM: nothing is captured any more. Stores still work. */
  stop(): void
}

/**
 * Makes stores and a change source of a `MikroORM`. Captures from now on what is written through it; call it once for
 * each, before the application writes.
 * @throws TypeError if the driver is not one of SQLite, PostgreSQL, MariaDB and MySQL, or the table of the outbox has
 *   a name that needs quotes.
 */
export function rtapiMikroOrm(orm: SqlOrm, options: RtapiMikroOrmOptions = {}): RtapiMikroOrm {
  const { em } = orm
  const { config } = em
  const driver = em.getDriver()
  if (!(driver instanceof AbstractSqlDriver)) throw new TypeError('rtapi needs a SQL driver of MikroORM')
  const platform = driver.getPlatform()
  const dialect = dialectOf(platform)
  const report = options.report ?? loggerReport(config)
  const rules = config.get('schemaGenerator')
  const { cascades = 'coarse', coarseKeys: most = 1_000 } = options
  const book = new EntityBook(orm.getMetadata(), platform, {
    dialect,
    rules: { delete: rules?.defaultDeleteRule, update: rules?.defaultUpdateRule },
    trustLoaded: options.trustLoaded === true,
    namesRows: most > 0,
  })
  const uncaptured = new UncapturedWrites({
    report,
    name: 'mikro-orm',
    advice: 'write through the unit of work to name the records',
  })
  const calls: DriverCalls = new AsyncLocalStorage()
  const dependents = new Dependents({
    book,
    platform,
    most,
    isNamed: (entity) => (typeof cascades === 'string' ? cascades === 'named' : cascades.includes(entity)),
    tableOf: (meta) => driver.getTableName(meta, {}),
  })
  const shared = { staged: () => staged, book, uncaptured, calls, dependents }
  const native: NativeCapture = new NativeCapture(shared)
  const outbox = openOutbox(options.outbox, {
    database: dialect.name,
    report,
    name: 'mikro-orm',
    lend: (work) => staged.tap.lend(work),
  })
  const writes = new StagedWrites({
    dialect,
    report,
    name: 'mikro-orm',
    written: (sql, transaction) => native.written(sql, transaction),
    outbox,
    entitiesIn: (sql) =>
      readWrites(sql, (name) => book.isTable(name)).flatMap(({ verb, tables }) =>
        tables.flatMap((table) => [...book.entitiesOf(table, verb)]),
      ),
  })
  const staged: ContextStaging = new ContextStaging(writes)
  const capture = new UnitOfWorkCapture(staged, book, native)
  const detach = [
    new StatementCapture({ ...shared, platform, most, keeps: outbox !== undefined }).attach(driver),
    native.attach(driver),
    new CollectionCapture(staged, book, native).attach(driver),
  ]
  if (outbox !== undefined) {
    const transactions = new DriverTransactions(staged, (entity) => [book.metaOfClass(entity).root.className])
    detach.unshift(transactions.attach(driver))
    // Else the schema generator, which may have its options already, would take the table for one that is to be dropped.
    rules.skipTables = [...(rules.skipTables ?? []), outbox.table]
  }
  staged.tap.attach(driver.getConnection('write'))
  // The manager of the events is shared by forks; forks with a manager of their own make it from the configuration.
  em.getEventManager().registerSubscriber(capture)
  config.set('subscribers', [...config.get('subscribers'), capture])

  const context: OrmStoreContext = {
    platform,
    dialect,
    report,
    fork: () => (options.fork?.() ?? em.fork({ disableContextResolution: true })) as SqlEntityManager,
    quietly: (work) => native.quietly(work),
    locked: (entity) => book.markLocked(entity),
    async trackOf(fork) {
      const { transaction } = await staged.tap.trackOf(fork.getTransactionContext<TransactionContext>() ?? {})
      if (transaction === undefined) throw new Error('the entity manager has no open transaction')
      return transaction
    },
  }

  return {
    store<E extends object, Excluded extends string = never>(
      entity: EntityName<E>,
      storeOptions: EntityStoreOptions<Excluded> = {},
    ) {
      const shape = without(book.shapeOf(book.metaOfClass(entity)), storeOptions.exclude ?? [])
      // The types of the fields are those which `shapeOf` reads from the same entity.
      return new OrmStore(shape, context, storeOptions.filters) as unknown as EntityStore<E, Excluded>
    },
    changes: () => writes.source(),
    uncaptured: () => uncaptured.list(),
    outbox,
    stop() {
      writes.stop()
      for (const undo of detach) undo()
      capture.stop()
      config.set(
        'subscribers',
        [...config.get('subscribers')].filter((subscriber) => subscriber !== capture),
      )
    },
  }
}

function without(shape: EntityShape, excluded: readonly string[]): EntityShape {
  for (const name of excluded) {
    const isKey = shape.key?.some((field) => field.name === name) === true
    if (isKey || !shape.fields.has(name)) {
      throw new TypeError(`${shape.meta.className} has no field '${name}' that could be excluded`)
    }
  }
  return { ...shape, fields: new Map([...shape.fields].filter(([name]) => !excluded.includes(name))) }
}

function loggerReport(config: Configuration): Report {
  return (error, { during }) => {
    config.getLogger().warn('info', `rtapi, ${during}: ${error instanceof Error ? error.message : String(error)}`)
  }
}
