import type { ChangeSource, Report, Store } from '@rtapi/core'
import {
  type OutboxControl,
  type OutboxOptions,
  StagedWrites,
  type UncapturedStatement,
  UncapturedWrites,
  openOutbox,
} from '@rtapi/sql'
import type { Model, ModelStatic, Sequelize, Transaction } from 'sequelize'
import { dialectOf } from './dialect-of.ts'
import { driverOf } from './drivers/driver-of.ts'
import { ModelBook } from './model-book.ts'
import { type ModelClass, scopeOf } from './model-class.ts'
import { type ModelShape, shapeOf } from './model-shape.ts'
import type { QueryDialect } from './query-tap.ts'
import { SequelizeStore, type SequelizeStoreContext } from './sequelize-store.ts'
import { SqlText } from './sql-text.ts'
import type { StoreRow, WireData } from './wire-row.ts'
import { WriteCapture } from './write-capture.ts'
import type { WriteContext } from './write-context.ts'
import { WriteQueue } from './write-queue.ts'
import { WriteText } from './write-text.ts'

export interface RtapiSequelizeOptions {
  /**
   * Hears of failures that nobody waits for, and once of each kind of statement that could not be captured.
   * @default warnings of the process
   */
  readonly report?: Report
  /**
   * What an instance held when it was loaded is taken for what its record held when it was written. Changes then travel
   * to fewer views; but if somebody else changed a field between the load and the save by which views are grouped, a
   * view may miss the change. Without it, such values count only where the store has locked the record. @default false
   */
  readonly trustLoaded?: boolean
  /**
   * Keeps what is committed in a table of the database, in the same transaction, until it has been announced, so that
   * nothing is lost if the process dies in between. The table must exist: see `RtapiSequelize.outbox`. @default `false`
   */
  readonly outbox?: boolean | OutboxOptions
  /**
   * Of so many records that one statement writes by a condition, or to which the database gives their keys, each is named;
   * of more all of the model is queried again. The database is asked for their keys: by the statement itself where it can
   * return them, else by another one. 0: no statement is asked, and such writes are all coarse. @default 1000
   */
  readonly coarseKeys?: number
  /**
   * What is announced of the records which the database deletes or changes by its foreign keys (`on delete cascade`,
   * `set null`, `on update cascade`). `coarse`: all of their models are queried again. `named`: each record; they are
   * selected before the statement in its transaction, or in one that it gets for that. @default 'coarse'
   */
  readonly cascades?: 'coarse' | 'named'
}

export interface ModelStoreOptions<Excluded extends string = never> {
  /** Fields that the store does not have, by their names on the wire. @default none */
  readonly exclude?: readonly Excluded[]
}

/** A store of the records of a model, typed from its attributes. */
export type ModelStore<M extends Model, Excluded extends string = never> = Store<
  StoreRow<M, Excluded>,
  WireData<StoreRow<M, Excluded>>,
  WireData<StoreRow<M, Excluded>>
>

/** Sequelize's part of an API: stores of its models, and the source of their changes. */
export interface RtapiSequelize {
  /**
   * A store of the records of a model. Its scope holds for every operation: the default scope, or that of the class which
   * is given, such as `Comment.scope('published')` or `Comment.unscoped()`.
   * @throws TypeError if the model has no primary key, its scope narrows it by an association, or `exclude` names a field
   *   that does not exist or belongs to the key.
   */
  store<M extends Model, Excluded extends string = never>(
    model: ModelStatic<M>,
    options?: ModelStoreOptions<Excluded>,
  ): ModelStore<M, Excluded>
  /** The source of all changes that are written through this `Sequelize`, of every model. Each call makes one. */
  changes(): ChangeSource
  /** The kinds of statements that could not be captured, with how often they came. */
  uncaptured(): readonly UncapturedStatement[]
  /** Creates the table of the outbox, and measures it; `undefined` without the option. */
  readonly outbox: OutboxControl | undefined
  /** Lets go of Sequelize: nothing is captured any more. Stores still work. */
  stop(): void
}

/**
 * Makes stores and a change source of a `Sequelize`. Captures from now on what is written through it; call it once for
 * each, before the application writes. Models may be defined before or after.
 * @throws TypeError if the dialect is not one of SQLite, PostgreSQL, MariaDB and MySQL, or the table of the outbox has
 *   a name that needs quotes.
 */
export function rtapiSequelize(sequelize: Sequelize, options: RtapiSequelizeOptions = {}): RtapiSequelize {
  const name = sequelize.getDialect()
  const dialect = dialectOf(name)
  const report = options.report ?? warn
  const book = new ModelBook(sequelize, { dialect, trustLoaded: options.trustLoaded === true })
  const uncaptured = new UncapturedWrites({
    report,
    name: 'sequelize',
    advice: 'write through models, or by the key, to name the records',
  })
  const outbox = openOutbox(options.outbox, {
    database: dialect.name,
    report,
    name: 'sequelize',
    lend: (work) => capture.tap.lend(sequelize, work),
  })
  const staged: StagedWrites = new StagedWrites({
    dialect,
    report,
    name: 'sequelize',
    written: (sql, transaction) => capture.written(sql, transaction),
    outbox,
    entitiesIn: (sql) => capture.entitiesIn(sql),
    rollsBack: true,
  })
  const isMysql = name === 'mysql' || name === 'mariadb'
  const context: WriteContext = {
    book,
    returnsRows: name === 'postgres',
    comparesLoosely: isMysql,
    returning: isMysql ? 'mysql' : 'all',
    text: new WriteText(sequelize),
    most: options.coarseKeys ?? 1000,
    namesCascades: options.cascades === 'named',
  }
  const capture: WriteCapture = new WriteCapture(staged, context, { driver: driverOf(name), uncaptured })
  const internals = sequelize as unknown as { readonly dialect: QueryDialect }
  const detach = capture.attach(internals.dialect, sequelize.getQueryInterface())

  const queue = dialect.locksByWriting ? new WriteQueue() : undefined
  const storeContext: SequelizeStoreContext = {
    sequelize,
    text: new SqlText(sequelize, dialect),
    report,
    locked: (instance) => book.markLocked(instance),
    trackOf: (transaction) => capture.tap.trackOf(connectionOf(transaction)).transaction,
    inTurn: async (work) => (queue === undefined ? work() : queue.run(work)),
  }

  return {
    store<M extends Model, Excluded extends string = never>(
      model: ModelStatic<M>,
      storeOptions: ModelStoreOptions<Excluded> = {},
    ) {
      const known = model as unknown as ModelClass
      const shape = without(shapeOf(known, scopeOf(known).attributes), storeOptions.exclude ?? [])
      // The types of the fields are those which `shapeOf` reads from the same model.
      return new SequelizeStore(shape, storeContext) as unknown as ModelStore<M, Excluded>
    },
    changes: () => staged.source(),
    uncaptured: () => uncaptured.list(),
    outbox,
    stop() {
      staged.stop()
      detach()
    },
  }
}

function connectionOf(transaction: Transaction): object {
  return (transaction as unknown as { readonly connection: object }).connection
}

function without(shape: ModelShape, excluded: readonly string[]): ModelShape {
  for (const name of excluded) {
    if (shape.key.some((field) => field.name === name) || !shape.fields.has(name)) {
      throw new TypeError(`${shape.entity} has no field '${name}' that could be excluded`)
    }
  }
  return { ...shape, fields: new Map([...shape.fields].filter(([name]) => !excluded.includes(name))) }
}

const warn: Report = (error, { during }) => {
  process.emitWarning(`rtapi, ${during}: ${error instanceof Error ? error.message : String(error)}`)
}
