import { AsyncLocalStorage } from 'node:async_hooks'
import { type EntityManager, type EntityMetadata, type EntityName, ReferenceKind, Utils } from '@mikro-orm/core'
import type { AbstractSqlDriver } from '@mikro-orm/sql'
import type { Key } from '@rtapi/core'
import type { ChangeLog } from './change-log.ts'
import type { OpenTransaction } from './connection-tap.ts'
import type { EntityBook } from './entity-book.ts'
import type { EntityShape } from './entity-shape.ts'
import { keyOfKnown } from './record.ts'
import { type StagedWrite, type StagedWrites, type TransactionContext, coarseWrite } from './staged-writes.ts'
import { readWrites } from './statement.ts'
import type { UncapturedWrites } from './uncaptured.ts'
import { NoWireValue, toWire } from './wire-value.ts'

/** What the driver is told and answers, as far as it is read here. */
interface DriverOptions {
  readonly ctx?: TransactionContext
  readonly upsert?: boolean
  readonly loggerContext?: { readonly id?: unknown }
}

interface DriverResult {
  readonly affectedRows?: number
  readonly insertId?: unknown
  readonly row?: Readonly<Record<string, unknown>>
  readonly rows?: readonly (Readonly<Record<string, unknown>> | undefined)[]
}

type DriverMethod = (entity: EntityName<object>, ...rest: readonly unknown[]) => Promise<DriverResult>
type MethodName =
  | 'nativeInsert'
  | 'nativeInsertMany'
  | 'nativeUpdate'
  | 'nativeUpdateMany'
  | 'nativeDelete'
  | 'nativeClone'

/** One record that a statement of the driver wrote, or what is known of several. */
interface Unit {
  readonly keys: readonly Key[] | undefined
  /** The unit of work has announced it. */
  claimed: boolean
}

/**
 * Captures what is written by the methods of the driver, through which both the unit of work and `em.insert`,
 * `em.nativeUpdate`, `em.nativeDelete`, `em.clone` go. What the unit of work announces by its events it claims; the
 * rest is announced by its keys where they are known, else as a coarse change. Statements that reach the connection
 * without the driver, from query builders or as plain SQL, are coarse changes of their tables.
 */
export class NativeCapture {
  readonly #staged: () => StagedWrites
  readonly #book: EntityBook
  readonly #uncaptured: UncapturedWrites
  /** Set while a method of the driver runs: its statements are known. */
  readonly #inside = new AsyncLocalStorage<true>()
  readonly #units = new WeakMap<object, Unit>()
  readonly #deletes = new WeakMap<object, NativeDelete[]>()
  /** In which transaction an upsert ran, until its events have told of the records; by the id of the entity manager. */
  readonly #upserts = new Map<unknown, { readonly context: TransactionContext; remaining: number }>()

  constructor(staged: () => StagedWrites, book: EntityBook, uncaptured: UncapturedWrites) {
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
      this.#wrapCollections(driver),
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
  claim(payload: object): void {
    const unit = this.#units.get(payload)
    if (unit !== undefined) unit.claimed = true
  }

  claimDelete(context: TransactionContext | undefined, root: EntityMetadata, key: unknown): void {
    const deletes = context === undefined ? [] : (this.#deletes.get(context) ?? [])
    deletes.some((write) => write.meta === root && write.claim(key))
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
  written(sql: string, transaction: OpenTransaction<StagedWrite> | undefined): void {
    if (this.#inside.getStore() === true) return
    for (const { verb, tables } of readWrites(sql, (name) => this.#book.isTable(name))) {
      if (verb === 'call' || verb === 'do' || verb === 'copy' || verb === 'load') this.#uncaptured.count(verb, 'missed')
      for (const table of tables) {
        const entities = this.#book.entitiesOf(table, verb)
        this.#staged().stageIn(transaction, {
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
      const collections = collectionsIn(meta, rest)
      const result = await this.#inside.run(true, async () => method(entity, ...rest))
      await this.#staged().guard(() => capture(meta, rest, result))
      if (collections.length > 0) {
        const options = rest.at(name === 'nativeInsert' || name === 'nativeInsertMany' ? 1 : 2)
        await this.#staged().guard(() => this.#staged().stage(contextOf(options), coarseWrite(collections)))
      }
      return result
    }
    Object.defineProperty(driver, name, { value: wrapped, configurable: true, writable: true })
    return () => void Reflect.deleteProperty(driver, name)
  }

  /** What the unit of work writes of collections it tells in events. */
  #wrapCollections(driver: AbstractSqlDriver): () => void {
    const sync = driver.syncCollections.bind(driver)
    driver.syncCollections = async (collections, options) =>
      this.#inside.run(true, async () => sync(collections, options))
    return () => void Reflect.deleteProperty(driver, 'syncCollections')
  }

  #inserted(
    meta: EntityMetadata,
    data: readonly unknown[],
    options: unknown,
    result: DriverResult,
  ): void | Promise<void> {
    const shape = this.#book.shapeOf(meta)
    const units = data.map((payload, i) => this.#unit(payload, insertedKey(shape, payload, i, data.length, result)))
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
    // Without a column to write there was no statement.
    if (result.affectedRows === 0) {
      for (const payload of data) this.#unit(payload, undefined)
      return undefined
    }
    const shape = this.#book.shapeOf(meta)
    const units = data.map((payload, i) => {
      const changesKey = meta.primaryKeys.some((key) => isObject(payload) && key in payload)
      return this.#unit(payload, changesKey ? undefined : keysOfWhere(shape, wheres[i]))
    })
    return this.#stage(options, new NativeUnits('update', shape, units, this.#uncaptured))
  }

  #upserted({ ctx, loggerContext }: DriverOptions, data: readonly unknown[]): void {
    if (ctx !== undefined) this.#upserts.set(loggerContext?.id, { context: ctx, remaining: data.length })
  }

  #deleted(meta: EntityMetadata, where: unknown, options: unknown, result: DriverResult): void | Promise<void> {
    const context = contextOf(options)
    const write = new NativeDelete(this.#book, this.#book.shapeOf(meta.root), where, result, this.#uncaptured)
    if (context !== undefined) {
      const deletes = this.#deletes.get(context) ?? []
      deletes.push(write)
      this.#deletes.set(context, deletes)
    }
    return this.#staged().stage(context, write)
  }

  #unit(payload: unknown, keys: readonly Key[] | undefined): Unit {
    const unit: Unit = { keys, claimed: false }
    if (isObject(payload)) this.#units.set(payload, unit)
    return unit
  }

  #stage(options: unknown, write: StagedWrite): void | Promise<void> {
    return this.#staged().stage(contextOf(options), write)
  }
}

/** Rows that were inserted or updated by the driver. */
class NativeUnits implements StagedWrite {
  readonly #verb: 'insert' | 'update'
  readonly #shape: EntityShape
  readonly #units: readonly Unit[]
  readonly #uncaptured: UncapturedWrites

  constructor(verb: 'insert' | 'update', shape: EntityShape, units: readonly Unit[], uncaptured: UncapturedWrites) {
    this.#verb = verb
    this.#shape = shape
    this.#units = units
    this.#uncaptured = uncaptured
  }

  addTo(log: ChangeLog): void {
    const { entity, meta } = this.#shape
    const units = this.#units.filter(({ claimed }) => !claimed)
    for (const key of units.flatMap(({ keys = [] }) => keys)) {
      log.add({ entity, key, action: this.#verb === 'insert' ? 'create' : 'update' })
    }
    if (units.every(({ keys }) => keys !== undefined)) return
    this.#uncaptured.count(`${this.#verb} ${meta.tableName}`, 'coarse')
    log.addCoarse(entity)
  }
}

/** Rows that were deleted by the driver. */
class NativeDelete implements StagedWrite {
  readonly meta: EntityMetadata
  readonly #book: EntityBook
  readonly #shape: EntityShape
  readonly #uncaptured: UncapturedWrites
  readonly #affected: number | undefined
  readonly #keys: readonly Key[] | undefined
  /** Keys in the form of the statement, as text: those which nobody has announced. */
  readonly #left: Set<string> | undefined

  constructor(
    book: EntityBook,
    shape: EntityShape,
    where: unknown,
    result: DriverResult,
    uncaptured: UncapturedWrites,
  ) {
    this.meta = shape.meta
    this.#book = book
    this.#shape = shape
    this.#uncaptured = uncaptured
    this.#affected = result.affectedRows
    this.#keys = keysOfWhere(shape, where)
    const given = keyList(shape.meta, where)
    this.#left = given === undefined ? undefined : new Set(given.map(keyText))
  }

  /** The unit of work announces the deletion of this key itself; answers whether it was among these. */
  claim(key: unknown): boolean {
    return this.#left?.delete(keyText(key)) === true
  }

  addTo(log: ChangeLog): void {
    if (this.#left?.size === 0 || this.#affected === 0) return
    const { entity, meta } = this.#shape
    for (const child of this.#book.cascades.onDelete(meta)) log.addCoarse(child)
    // With fewer rows than keys nobody knows which were there.
    if (this.#keys !== undefined && this.#keys.length === this.#affected) {
      for (const key of this.#keys) log.add({ entity, key, action: 'delete' })
      return
    }
    this.#uncaptured.count(`delete ${meta.tableName}`, 'coarse')
    log.addCoarse(entity)
  }
}

function contextOf(options: unknown): TransactionContext | undefined {
  return (options as DriverOptions | undefined)?.ctx
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

/** The entities on the other side of many-to-many relations which plain data sets. */
function collectionsIn(meta: EntityMetadata, rest: readonly unknown[]): readonly string[] {
  const relations = meta.relations.filter(({ kind }) => kind === ReferenceKind.MANY_TO_MANY)
  if (relations.length === 0) return []
  const rows = rest.flatMap((argument) => (Array.isArray(argument) ? (argument as unknown[]) : [argument]))
  return relations.flatMap(({ name, targetMeta }) =>
    targetMeta !== undefined && rows.some((row) => Utils.isPlainObject(row) && name in row)
      ? targetMeta.root.className
      : [],
  )
}

function insertedKey(
  shape: EntityShape,
  payload: unknown,
  index: number,
  count: number,
  { rows, row, insertId }: DriverResult,
): readonly Key[] | undefined {
  const returned = rows?.[index] ?? (count === 1 ? row : undefined)
  const parts = (shape.key ?? []).map(({ property }) => {
    const given = isObject(payload) ? payload[property.name] : undefined
    const fallback = count === 1 && shape.key?.length === 1 ? insertId : undefined
    return given ?? returned?.[property.fieldNames[0] ?? ''] ?? returned?.[property.name] ?? fallback
  })
  const key = wireKey(shape, parts)
  return key === undefined ? undefined : [key]
}

/** The keys that a condition is about: it may hold further conditions, but no record with another key. */
function keysOfWhere(shape: EntityShape, where: unknown): readonly Key[] | undefined {
  const keys = keyList(shape.meta, where)?.map((key) => wireKey(shape, Array.isArray(key) ? (key as unknown[]) : [key]))
  return keys?.every((key) => key !== undefined) === true ? keys : undefined
}

/** The keys in a condition, in the form of the statement. */
function keyList(meta: EntityMetadata, where: unknown): readonly unknown[] | undefined {
  if (Utils.isPrimaryKey(where) && !meta.compositePK) return [where]
  if (!Utils.isPlainObject<Record<string, unknown>>(where)) return undefined
  const own = where[Utils.getPrimaryKeyHash(meta.primaryKeys)]
  if (own !== undefined && own !== null) return valuesOf(own, meta)
  if (meta.compositePK && meta.primaryKeys.every((key) => isScalar(where[key]))) {
    return [meta.primaryKeys.map((key) => where[key])]
  }
  const all = where['$and']
  if (!Array.isArray(all)) return undefined
  for (const part of all as unknown[]) {
    const keys = keyList(meta, part)
    if (keys !== undefined) return keys
  }
  return undefined
}

function valuesOf(condition: unknown, meta: EntityMetadata): readonly unknown[] | undefined {
  if (isScalar(condition)) return [condition]
  if (Array.isArray(condition)) {
    const isOneKey = meta.compositePK && condition.every(isScalar)
    return isOneKey ? [condition] : (condition as unknown[])
  }
  if (!isObject(condition)) return undefined
  if (Array.isArray(condition['$in'])) return condition['$in'] as unknown[]
  return '$eq' in condition ? valuesOf(condition['$eq'], meta) : undefined
}

function isScalar(value: unknown): boolean {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'bigint'
}

function keyText(key: unknown): string {
  return Array.isArray(key) ? JSON.stringify(key.map(String)) : String(key)
}

function wireKey(shape: EntityShape, parts: readonly unknown[]): Key | undefined {
  const fields = shape.key ?? []
  if (parts.length !== fields.length || !parts.every(isScalar)) return undefined
  try {
    return keyOfKnown(shape, Object.fromEntries(fields.map(({ name, type }, i) => [name, toWire(type, parts[i])])))
  } catch (error) {
    if (error instanceof NoWireValue) return undefined
    throw error
  }
}
