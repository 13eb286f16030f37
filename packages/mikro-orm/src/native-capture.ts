import { AsyncLocalStorage } from 'node:async_hooks'
import { type EntityManager, type EntityMetadata, type EntityName, Utils } from '@mikro-orm/core'
import type { AbstractSqlDriver } from '@mikro-orm/sql'
import {
  type StagedTransaction,
  type StagedWrite,
  type UncapturedWrites,
  coarseWrite,
  opaqueVerbs,
  readWrites,
} from '@rtapi/sql'
import type { EntityBook } from './entity-book.ts'
import { NativeDelete, NativeUnits, type Unit } from './native-writes.ts'
import type { ContextStaging, TransactionContext } from './context-staging.ts'
import { type DriverResult, insertedKey, keysOfWhere } from './statement-keys.ts'

/** What the driver is told, as far as it is read here. */
interface DriverOptions {
  readonly ctx?: TransactionContext
  readonly upsert?: boolean
  readonly convertCustomTypes?: boolean
  readonly loggerContext?: { readonly id?: unknown }
}

type DriverMethod = (entity: EntityName<object>, ...rest: readonly unknown[]) => Promise<DriverResult>
type MethodName =
  | 'nativeInsert'
  | 'nativeInsertMany'
  | 'nativeUpdate'
  | 'nativeUpdateMany'
  | 'nativeDelete'
  | 'nativeClone'

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
  /** Set while a method of the driver runs: its statements are known. */
  readonly #inside = new AsyncLocalStorage<true>()
  readonly #claims = new WeakMap<TransactionContext, Claims>()
  /** In which transaction an upsert ran, until its events have told of the records; by the id of the entity manager. */
  readonly #upserts = new Map<unknown, { readonly context: TransactionContext; remaining: number }>()

  constructor(staged: () => ContextStaging, book: EntityBook, uncaptured: UncapturedWrites) {
    this.#staged = staged
    this.#book = book
    this.#uncaptured = uncaptured
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
      this.#wrap(driver, 'nativeUpdate', (meta, [where, data, options], result) =>
        this.#updated(meta, [where], [data], options, result),
      ),
      this.#wrap(driver, 'nativeUpdateMany', (meta, [where, data, options], result) =>
        this.#updated(meta, where as readonly unknown[], data as readonly unknown[], options, result),
      ),
      this.#wrap(driver, 'nativeDelete', (meta, [where, options], result) =>
        this.#deleted(meta, where, options, result),
      ),
      this.#wrap(driver, 'nativeClone', (meta, [, , options], result) => this.#inserted(meta, [{}], options, result)),
    ]
    return () => {
      for (const restore of undo) restore()
    }
  }

  /** Runs statements that change nothing and are nobody's business. */
  async quietly<T>(work: () => Promise<T>): Promise<T> {
    return this.#inside.run(true, work)
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
    upsert.remaining -= 1
    if (upsert.remaining <= 0) this.#upserts.delete(em.id)
    return upsert.context
  }

  /** A statement has reached the connection. */
  written(sql: string, transaction: StagedTransaction | undefined): void {
    if (this.#inside.getStore() === true) return
    for (const { verb, tables } of readWrites(sql, (name) => this.#book.isTable(name))) {
      if (opaqueVerbs.has(verb)) this.#uncaptured.count(verb, 'missed')
      for (const table of tables) {
        const entities = this.#book.entitiesOf(table, verb)
        this.#staged().writes.stage(transaction, {
          addTo: (log) => {
            this.#uncaptured.count(`${verb} ${table}`, 'coarse')
            for (const entity of entities) log.addCoarse(entity)
          },
        })
      }
    }
  }

  #wrap(
    driver: AbstractSqlDriver,
    name: MethodName,
    capture: (meta: EntityMetadata, rest: readonly unknown[], result: DriverResult) => void | Promise<void>,
  ): () => void {
    const method = driver[name].bind(driver) as DriverMethod
    const wrapped: DriverMethod = async (entity, ...rest) => {
      if (this.#inside.getStore() === true) return method(entity, ...rest)
      const meta = this.#book.metaOfClass(entity)
      const collections = this.#collectionsIn(meta, rest)
      const result = await this.#inside.run(true, method, entity, ...rest)
      const staging = this.#staged().guard(() => capture(meta, rest, result))
      if (staging instanceof Promise) await staging
      if (collections.length > 0) {
        const options = rest.at(name === 'nativeInsert' || name === 'nativeInsertMany' ? 1 : 2)
        await this.#staged().guard(() => this.#staged().stage(contextOf(options), coarseWrite(collections)))
      }
      return result
    }
    Object.defineProperty(driver, name, { value: wrapped, configurable: true, writable: true })
    return () => void Reflect.deleteProperty(driver, name)
  }

  #inserted(
    meta: EntityMetadata,
    data: readonly unknown[],
    options: unknown,
    result: DriverResult,
  ): void | Promise<void> {
    const shape = this.#book.shapeOf(meta)
    const units = data.map((payload, i) =>
      this.#unit(options, payload, () => insertedKey(shape, payload, i, data.length, result)),
    )
    return this.#stage(options, new NativeUnits('insert', shape, units, this.#uncaptured))
  }

  #updated(
    meta: EntityMetadata,
    wheres: readonly unknown[],
    data: readonly unknown[],
    options: unknown,
    result: DriverResult,
  ): void | Promise<void> {
    if ((options as DriverOptions | undefined)?.upsert === true) return this.#upserted(options as DriverOptions, data)
    if (result.affectedRows === 0) return undefined
    const shape = this.#book.shapeOf(meta)
    const units = data.map((payload, i) => {
      const changesKey = meta.primaryKeys.some((key) => isObject(payload) && key in payload)
      const where = wheres[i]
      // A batch looks at the versions before it writes, and not in the statement.
      const checked = isObject(where) && meta.versionProperty in where
      return this.#unit(options, payload, () => (changesKey ? undefined : keysOfWhere(shape, where)), checked)
    })
    return this.#stage(options, new NativeUnits('update', shape, units, this.#uncaptured))
  }

  #upserted({ ctx, loggerContext }: DriverOptions, data: readonly unknown[]): void {
    if (ctx !== undefined) this.#upserts.set(loggerContext?.id, { context: ctx, remaining: data.length })
  }

  #deleted(meta: EntityMetadata, where: unknown, options: unknown, result: DriverResult): void | Promise<void> {
    const context = contextOf(options)
    const write = new NativeDelete(this.#book, this.#book.shapeOf(meta.root), where, result, this.#uncaptured)
    if (context !== undefined) this.#claimsOf(context).deletes.push(write)
    return this.#staged().stage(context, write)
  }

  #unit(options: unknown, payload: unknown, keys: Unit['keys'], checked = false): Unit {
    // The data of the unit of work is its own; that of the application may be used for something else later.
    const found = isOfUnitOfWork(options) ? undefined : { keys: keys() }
    const unit: Unit = { keys: found === undefined ? keys : () => found.keys, checked, claimed: false }
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

  /** The entities on the other side of many-to-many relations which plain data sets. */
  #collectionsIn(meta: EntityMetadata, rest: readonly unknown[]): readonly string[] {
    const relations = this.#book.manyToManyOf(meta)
    if (relations.length === 0) return []
    const rows = rest.flatMap((argument) => (Array.isArray(argument) ? (argument as unknown[]) : [argument]))
    return relations.flatMap(({ name, targetMeta }) =>
      targetMeta !== undefined && rows.some((row) => Utils.isPlainObject(row) && name in row)
        ? targetMeta.root.className
        : [],
    )
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

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
