import { type EntityManager, type EntityMetadata, type EntityName, Utils } from '@mikro-orm/core'
import type { AbstractSqlDriver } from '@mikro-orm/sql'
import { systemClock } from '@rtapi/core'
import {
  type StagedTransaction,
  type StagedWrite,
  type UncapturedWrites,
  coarseWrite,
  opaqueVerbs,
  readWrites,
} from '@rtapi/sql'
import type { Dependents } from './dependents.ts'
import { type DriverCall, type DriverCalls, type SentStatement, silent } from './driver-call.ts'
import type { EntityBook } from './entity-book.ts'
import { NativeDelete, NativeUnits, type Unit, Upsert } from './native-writes.ts'
import type { ContextStaging, TransactionContext } from './context-staging.ts'
import { type DriverResult, insertedKey, isGuessed, keysOfWhere } from './statement-keys.ts'
import { recordsWrite } from './statement-outcome.ts'

/** What the driver is told, as far as it is read here. */
interface DriverOptions {
  readonly ctx?: TransactionContext
  readonly upsert?: boolean
  readonly convertCustomTypes?: boolean
  /** Who asks; the unit of work does not say. */
  readonly em?: unknown
  readonly loggerContext?: { readonly id?: unknown }
}

/** Milliseconds in which MikroORM tells of the records of an upsert that ran outside of any transaction. */
const PATIENCE = 1_000

type DriverMethod = (entity: EntityName<object>, ...rest: readonly unknown[]) => Promise<DriverResult>
type MethodName =
  | 'nativeInsert'
  | 'nativeInsertMany'
  | 'nativeUpdate'
  | 'nativeUpdateMany'
  | 'nativeDelete'
  | 'nativeClone'

type Capture = (
  meta: EntityMetadata,
  rest: readonly unknown[],
  result: DriverResult,
  call: DriverCall,
) => void | Promise<void>

/** What was written in a transaction and may yet turn out to be the unit of work's, which announces it itself. */
interface Claims {
  readonly units: Map<object, Unit>
  readonly deletes: NativeDelete[]
}

/**
 * Captures what is written by the methods of the driver, through which both the unit of work and `em.insert`,
 * `em.nativeUpdate`, `em.nativeDelete`, `em.clone` go. What the unit of work announces by its events it claims; the
 * rest is announced by its keys where they are known, else as a coarse change. Statements that reach the connection
 * without the driver, from query builders or as plain SQL, are coarse changes of their tables.
 */
export class NativeCapture {
  readonly #staged: () => ContextStaging
  readonly #book: EntityBook
  readonly #uncaptured: UncapturedWrites
  readonly #calls: DriverCalls
  readonly #dependents: Dependents
  readonly #claims = new WeakMap<TransactionContext, Claims>()
  /** Upserts of which events have still to tell; by the id of the entity manager. */
  readonly #upserts = new Map<unknown, { readonly context: TransactionContext | undefined; readonly write: Upsert }>()

  constructor(options: {
    readonly staged: () => ContextStaging
    readonly book: EntityBook
    readonly uncaptured: UncapturedWrites
    readonly calls: DriverCalls
    readonly dependents: Dependents
  }) {
    this.#staged = options.staged
    this.#book = options.book
    this.#uncaptured = options.uncaptured
    this.#calls = options.calls
    this.#dependents = options.dependents
  }

  /** Wraps the methods of the driver; returns the undo. */
  attach(driver: AbstractSqlDriver): () => void {
    const undo = [
      this.#wrap(driver, 'nativeInsert', (meta, [data, options], result) =>
        this.#inserted(meta, [data], options, result),
      ),
      this.#wrap(driver, 'nativeInsertMany', (meta, [data, options], result) =>
        this.#inserted(meta, data as readonly unknown[], options, result),
      ),
      this.#wrap(driver, 'nativeUpdate', (meta, [where, data, options], result, call) =>
        call.named === true ? undefined : this.#updated(meta, [where], [data], options, result),
      ),
      this.#wrap(driver, 'nativeUpdateMany', (meta, [where, data, options], result) =>
        this.#updated(meta, where as readonly unknown[], data as readonly unknown[], options, result),
      ),
      this.#wrap(driver, 'nativeDelete', (meta, [where, options], result, call) =>
        call.named === true ? undefined : this.#deleted(meta, where, options, { result, call }),
      ),
      this.#wrap(driver, 'nativeClone', (meta, [, , options], result) => this.#inserted(meta, [{}], options, result)),
    ]
    return () => {
      for (const restore of undo) restore()
    }
  }

  /** Runs statements that change nothing and are nobody's business. */
  async quietly<T>(work: () => Promise<T>): Promise<T> {
    return this.#calls.run(silent, work)
  }

  /**
   * Runs statements of which all is told when they have succeeded.
   * @param options.names - whether they name their own rows, also those of pivot tables.
   */
  async collecting<T>(work: () => Promise<T>, options: { readonly names: boolean }): Promise<T> {
    return this.#calling({ sent: [], names: options.names, pivots: options.names }, work)
  }

  /** The unit of work announces the record of this payload itself. */
  claim(context: TransactionContext | undefined, payload: object): Unit | undefined {
    const units = context && this.#claims.get(context)?.units
    const unit = units?.get(payload)
    if (unit !== undefined) unit.claimed = true
    units?.delete(payload)
    return unit
  }

  /** The unit of work announces the deletion of this key itself. */
  claimDelete(context: TransactionContext | undefined, root: EntityMetadata, key: unknown): void {
    const deletes = context && this.#claims.get(context)?.deletes
    deletes?.some((write) => write.meta === root && write.claim(key))
  }

  /** The transaction in which the upsert ran of which an event tells. */
  contextOfUpsert(em: EntityManager): TransactionContext | undefined {
    const upsert = this.#upserts.get(em.id)
    if (upsert === undefined) return undefined
    upsert.write.remaining -= 1
    if (upsert.write.remaining <= 0) this.#upserts.delete(em.id)
    return upsert.context
  }

  /** A statement has reached the connection. */
  written(sql: string, transaction: StagedTransaction | undefined): void {
    const call = this.#calls.getStore()
    if (call === undefined) this.#readText(sql, transaction)
    else call.sent?.push({ sql, transaction })
  }

  #readText(sql: string, transaction: StagedTransaction | undefined): void {
    for (const { verb, tables } of readWrites(sql, (name) => this.#book.isTable(name))) {
      if (opaqueVerbs.has(verb)) this.#uncaptured.count(verb, 'missed')
      for (const table of tables) {
        const entities = this.#book.entitiesOf(table, verb, sql)
        this.#staged().writes.stage(transaction, {
          addTo: (log) => {
            this.#uncaptured.count(`${verb} ${table}`, 'coarse')
            for (const entity of entities) log.addCoarse(entity)
          },
        })
      }
    }
  }

  #wrap(driver: AbstractSqlDriver, name: MethodName, capture: Capture): () => void {
    const method = driver[name].bind(driver) as DriverMethod
    const wrapped: DriverMethod = async (entity, ...rest) => {
      const outer = this.#calls.getStore()
      const meta = this.#book.metaOfClass(entity)
      if (outer?.pivots === true && meta.pivotTable === true)
        return this.#joined(outer, { name, method, meta }, [entity, ...rest])
      if (outer !== undefined) return method(entity, ...rest)
      const call = this.#callOf(name, meta, rest)
      const result = await this.#calling(call, () => method(entity, ...rest))
      const staging = this.#staged().guard(() => capture(meta, rest, result, call))
      if (staging instanceof Promise) await staging
      return result
    }
    Object.defineProperty(driver, name, { value: wrapped, configurable: true, writable: true })
    return () => void Reflect.deleteProperty(driver, name)
  }

  async #calling<T>(call: DriverCall, work: () => Promise<T>): Promise<T> {
    try {
      return await this.#calls.run(call, work)
    } catch (error) {
      // What it has written before it failed remains, if no transaction undoes it.
      for (const { sql, transaction } of call.sent ?? []) {
        void this.#staged().guard(() => this.#readText(sql, transaction))
      }
      throw error
    }
  }

  /** What is to be learned of the statements of a call, besides what its arguments say. */
  #callOf(name: MethodName, meta: EntityMetadata, rest: readonly unknown[]): DriverCall {
    const [where, second, third] = rest
    const sent: SentStatement[] = []
    if (name === 'nativeDelete') {
      const dependents = this.#dependents.has(meta)
      if ((second as DriverOptions | undefined)?.em === undefined) return { sent, dependents }
      return { sent, dependents, names: dependents || this.#isUnnamed(meta, where) }
    }
    const pivots = this.#setsCollections(meta, rest)
    if (name !== 'nativeUpdate' || isOfUnitOfWork(third) || isUpsert(third)) return { sent, pivots }
    return { sent, pivots, names: changesKey(meta, second) || this.#isUnnamed(meta, where) }
  }

  /** Whether a condition does not say which record it is about. */
  #isUnnamed(meta: EntityMetadata, where: unknown): boolean {
    return meta.pivotTable === true || keysOfWhere(this.#book.shapeOf(meta), where)?.length !== 1
  }

  /** Rows of a pivot table are written on the way of something else. */
  async #joined(
    { sent }: DriverCall,
    { name, method, meta }: { readonly name: MethodName; readonly method: DriverMethod; readonly meta: EntityMetadata },
    [entity, ...rest]: [EntityName<object>, ...unknown[]],
  ): Promise<DriverResult> {
    // A query builder deletes, and names the rows itself.
    if (name === 'nativeDelete') return this.#calls.run({ names: true, sent }, method, entity, ...rest)
    const result = await this.#calls.run({ sent }, method, entity, ...rest)
    const rows = rest[name === 'nativeUpdateMany' ? 1 : 0] as readonly object[]
    await this.#staged().guard(async () => {
      const names = this.#book.namesOf(meta)
      const records = rows.map((row) => names?.ofColumns(row))
      await this.#stage(
        rest.at(name === 'nativeUpdateMany' ? 2 : 1),
        records.every((record) => record !== undefined)
          ? recordsWrite(records.flat(), name === 'nativeUpdateMany' ? 'update' : 'create')
          : coarseWrite(this.#book.entitiesOf(meta.tableName.toLowerCase(), 'insert')),
      )
    })
    return result
  }

  #inserted(
    meta: EntityMetadata,
    data: readonly unknown[],
    options: unknown,
    result: DriverResult,
  ): void | Promise<void> {
    const shape = this.#book.shapeOf(meta)
    const computed = this.#book.computesKeys
    const units = data.map((payload, index) => {
      const guessed = computed && isGuessed(shape, payload, data)
      const insert = { index, count: data.length, result, computed }
      return this.#unit(options, payload, () => (guessed ? undefined : insertedKey(shape, payload, insert)), {
        guessed,
      })
    })
    return this.#stage(options, new NativeUnits('insert', shape, units, this.#uncaptured))
  }

  #updated(
    meta: EntityMetadata,
    wheres: readonly unknown[],
    data: readonly unknown[],
    options: unknown,
    result: DriverResult,
  ): void | Promise<void> {
    if (isUpsert(options)) return this.#upserted(meta, options as DriverOptions, data.length)
    if (result.affectedRows === 0) return undefined
    const shape = this.#book.shapeOf(meta)
    const units = data.map((payload, i) => {
      const where = wheres[i]
      // A batch looks at the versions before it writes, and not in the statement.
      const checked = isObject(where) && meta.versionProperty in where
      return this.#unit(options, payload, () => (changesKey(meta, payload) ? undefined : keysOfWhere(shape, where)), {
        checked,
      })
    })
    return this.#stage(options, new NativeUnits('update', shape, units, this.#uncaptured))
  }

  #upserted(meta: EntityMetadata, { ctx, loggerContext }: DriverOptions, count: number): void | Promise<void> {
    const staged = this.#staged()
    const write = new Upsert(this.#book.shapeOf(meta), count, this.#uncaptured)
    this.#upserts.set(loggerContext?.id, { context: ctx, write })
    if (ctx !== undefined) return staged.isLeaving(ctx) ? undefined : staged.stage(ctx, write)
    systemClock.setTimer(PATIENCE, () => void staged.guard(() => staged.stage(undefined, write)))
  }

  #deleted(
    meta: EntityMetadata,
    where: unknown,
    options: unknown,
    { result, call }: { readonly result: DriverResult; readonly call: DriverCall },
  ): void | Promise<void> {
    const context = contextOf(options)
    const shape = this.#book.shapeOf(meta.root)
    const write = new NativeDelete(shape, where, result, {
      uncaptured: this.#uncaptured,
      dependents: call.namedDependents === true ? [] : this.#book.cascades.onDelete(meta),
    })
    if (context !== undefined) this.#claimsOf(context).deletes.push(write)
    return this.#staged().stage(context, write)
  }

  #unit(options: unknown, payload: unknown, keys: Unit['keys'], known: Partial<Unit>): Unit {
    // The data of the unit of work is its own; that of the application may be used for something else later.
    const found = isOfUnitOfWork(options) ? undefined : { keys: keys() }
    const unit: Unit = {
      checked: false,
      guessed: false,
      ...known,
      keys: found === undefined ? keys : () => found.keys,
      claimed: false,
    }
    const context = contextOf(options)
    if (context !== undefined && isObject(payload)) this.#claimsOf(context).units.set(payload, unit)
    return unit
  }

  #claimsOf(context: TransactionContext): Claims {
    const known = this.#claims.get(context)
    if (known !== undefined) return known
    const claims: Claims = { units: new Map(), deletes: [] }
    this.#claims.set(context, claims)
    return claims
  }

  /** Whether plain data sets many-to-many relations. */
  #setsCollections(meta: EntityMetadata, rest: readonly unknown[]): boolean {
    const relations = this.#book.manyToManyOf(meta)
    if (relations.length === 0) return false
    const rows = rest.flatMap((argument) => (Array.isArray(argument) ? (argument as unknown[]) : [argument]))
    return relations.some(({ name }) => rows.some((row) => Utils.isPlainObject(row) && name in row))
  }

  #stage(options: unknown, write: StagedWrite): void | Promise<void> {
    return this.#staged().stage(contextOf(options), write)
  }
}

function contextOf(options: unknown): TransactionContext | undefined {
  return (options as DriverOptions | undefined)?.ctx
}

/** It hands over values in the form of the database. */
function isOfUnitOfWork(options: unknown): boolean {
  return (options as DriverOptions | undefined)?.convertCustomTypes === false
}

function isUpsert(options: unknown): boolean {
  return (options as DriverOptions | undefined)?.upsert === true
}

function changesKey({ primaryKeys }: EntityMetadata, data: unknown): boolean {
  return isObject(data) && primaryKeys.some((key) => key in data)
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
