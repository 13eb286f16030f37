import { LockMode, type Platform, raw } from '@mikro-orm/core'
import type { SqlEntityManager } from '@mikro-orm/sql'
import {
  type ErrorDetail,
  type Filter,
  type Key,
  type Query,
  type Report,
  type Row,
  type Store,
  type StoreDescription,
  type WriteResult,
} from '@rtapi/core'
import {
  type Column,
  type Dialect,
  type Sql,
  describeFields,
  filterSql,
  join,
  keySql,
  missingIn,
  never,
} from '@rtapi/sql'
import { valuesOf } from './entity-data.ts'
import type { EntityShape, Field } from './entity-shape.ts'
import { type RawRow, rowOfEntity, rowOfRaw } from './record.ts'
import { isDeadlock, storeError } from './store-errors.ts'
import { TableColumns } from './table-columns.ts'

/** What becomes of a transaction that the store has begun. */
interface TransactionTrack {
  readonly id: string
  readonly committed: boolean
  /** Changes of it were announced under its id. */
  readonly announced: boolean
}

/** What a store needs of its surroundings. */
export interface OrmStoreContext {
  readonly platform: Platform
  readonly dialect: Dialect
  readonly report: Report
  /** A new entity manager, for one operation. */
  fork(): SqlEntityManager
  /** Runs statements of the store that change nothing. */
  quietly<T>(work: () => Promise<T>): Promise<T>
  /** The record of this entity is locked until the end of the transaction. */
  locked(entity: object): void
  /** The transaction that is open on this entity manager. */
  trackOf(em: SqlEntityManager): Promise<TransactionTrack>
}

/** The filters of MikroORM that its queries are subject to, as in `em.find`. */
export type EntityFilters = string[] | boolean | Readonly<Record<string, boolean | Readonly<Record<string, unknown>>>>

const TRIES = 3
/** The table's alias in each query. */
const ALIAS = 'r'

/** Reads and writes the records of one entity through MikroORM. */
export class OrmStore implements Store {
  readonly entity: string
  readonly #shape: EntityShape
  readonly #context: OrmStoreContext
  readonly #columns: TableColumns
  readonly #filters: EntityFilters | undefined

  /** @throws TypeError if the entity cannot be a store: its key cannot travel, or its rows are spread over tables. */
  constructor(shape: EntityShape, context: OrmStoreContext, filters: EntityFilters | undefined) {
    const { meta, key } = shape
    if (key === undefined || key.length === 0) {
      throw new TypeError(`the key of ${meta.className} cannot travel: it refers to an entity with a composite key`)
    }
    if (meta.inheritanceType === 'tpt' || meta.virtual === true) {
      throw new TypeError(`${meta.className} has no one table of its own, which a store needs`)
    }
    this.entity = shape.entity
    this.#shape = shape
    this.#context = context
    this.#columns = new TableColumns(shape, context.platform, context.dialect, ALIAS)
    this.#filters = filters
  }

  describe(): StoreDescription {
    return describeFields(this.#shape.fields, this.#shape.key ?? [])
  }

  async read(keys: readonly Key[]): Promise<readonly Row[]> {
    const where = this.#isAmong(keys)
    return where === never ? [] : this.#find(where, { order: [] })
  }

  async find(query: Query): Promise<readonly Row[]> {
    return this.#find(this.#compile(query.where), query)
  }

  async create(data: Row): Promise<WriteResult> {
    const values = valuesOf(this.#shape, data)
    const result = await this.#write(
      async (em) => {
        const entity = em.create<object>(this.#shape.meta.class, values)
        em.persist(entity)
        return this.#save(em, entity, values)
      },
      missingIn(this.#shape.fields, data),
    )
    if (result === null) throw new Error('the created record vanished before its transaction ended')
    return result
  }

  async update(key: Key, patch: Row, where: Filter): Promise<WriteResult | null> {
    const values = valuesOf(this.#shape, patch)
    const matching = this.#isAmong([key], this.#compile(where))
    return this.#write(async (em) => {
      const entity = await this.#lock(em, matching)
      if (entity === undefined) return null
      em.assign<object>(entity, values, { mergeEmbeddedProperties: false })
      return this.#save(em, entity, values)
    })
  }

  async delete(key: Key, where: Filter): Promise<WriteResult | null> {
    const matching = this.#isAmong([key], this.#compile(where))
    return this.#write(async (em) => {
      const entity = await this.#lock(em, matching)
      if (entity === undefined) return null
      const row = rowOfEntity(this.#shape, entity)
      em.remove(entity)
      return () => row
    })
  }

  async #find(where: Sql, { order, limit }: Pick<Query, 'order' | 'limit'>): Promise<readonly Row[]> {
    const em = this.#context.fork()
    try {
      return this.#rowsOf(em, await this.#select(em, where, { order, limit }))
    } catch (error) {
      throw storeError(error)
    }
  }

  #rowsOf(em: SqlEntityManager, found: readonly RawRow[]): readonly Row[] {
    const { meta } = this.#shape
    if (this.#columns.hasEmbedded) {
      return found.map((raw) => rowOfEntity(this.#shape, em.map<object>(meta.class, raw)))
    }
    return found.map((raw) => rowOfRaw(this.#shape, raw, this.#context.platform))
  }

  async #select(
    em: SqlEntityManager,
    where: Sql,
    options: { readonly order?: Query['order']; readonly limit?: number | undefined; readonly lock?: boolean },
  ): Promise<readonly RawRow[]> {
    const query = em.createQueryBuilder<object, typeof ALIAS>(this.#shape.meta.class, ALIAS, 'write')
    query.select((options.lock === true ? this.#columns.all : this.#columns.shown).map((column) => raw(column)))
    // As the key of an object, since a fragment that is given directly would have its parameters put in too early.
    const params = where.params.map((param) => this.#context.platform.processDateProperty(param))
    query.where({ [raw(`(${where.text})`, params)]: [] })
    const order = (options.order ?? []).map(([field, direction]) => {
      const column = this.#columns.of(field)
      if (column === undefined) throw new TypeError(`the order names the field '${field}', which does not exist`)
      const { dialect } = this.#context
      return { [raw(dialect.sortable(column))]: dialect.direction(direction, column.nullable) }
    })
    if (order.length > 0) query.orderBy(order as object[])
    if (options.limit !== undefined) query.limit(options.limit)
    if (options.lock === true) query.setLockMode(LockMode.PESSIMISTIC_WRITE)
    await query.applyFilters(this.#filters)
    return query.execute<RawRow[]>('all', false)
  }

  /** Reads a record that nobody else can change before the end of the transaction. */
  async #lock(em: SqlEntityManager, where: Sql): Promise<object | undefined> {
    if (this.#context.dialect.locksByWriting) {
      const { touch } = this.#columns
      await this.#context.quietly(async () => em.execute(touch, [], 'run'))
    }
    const [found] = await this.#select(em, where, { lock: true })
    if (found === undefined) return undefined
    const entity = em.map<object>(this.#shape.meta.class, found)
    this.#context.locked(entity)
    return entity
  }

  /** Flushes with the commit; what the columns may round is read again before. Answers how to make the row afterwards. */
  async #save(em: SqlEntityManager, entity: object, values: Readonly<Record<string, unknown>>): Promise<() => Row> {
    const rounded = [...this.#shape.fields.values()].some((field) => {
      const column = this.#columns.of(field.name)
      return (
        column !== undefined &&
        field.property.name in values &&
        this.#mayDiffer(field, column, values[field.property.name])
      )
    })
    if (!rounded) return () => rowOfEntity(this.#shape, entity)
    await em.flush()
    const written = rowOfEntity(this.#shape, entity)
    const key = (this.#shape.key ?? []).map(({ name }) => written[name] as string | number)
    const [found] = await this.#select(em, this.#isAmong([key.length === 1 ? (key[0] ?? '') : key]), {})
    const [row = written] = found === undefined ? [] : this.#rowsOf(this.#context.fork(), [found])
    return () => row
  }

  /** A type of the application's own may write something else than it was given. */
  #mayDiffer({ holder }: Field, column: Column, value: unknown): boolean {
    if (value === null) return false
    if (column.type === 'json') return holder.customType !== undefined && this.#columns.isForeign(holder)
    return this.#context.dialect.rounding(column)?.(value) === true
  }

  /** Runs the work in one transaction, again if it loses a race; `null` rolls back. */
  async #write(
    work: (em: SqlEntityManager) => Promise<(() => Row) | null>,
    missing?: readonly ErrorDetail[],
  ): Promise<WriteResult | null> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#try(work)
      } catch (error) {
        if (!isDeadlock(error) || attempt === TRIES) throw storeError(error, missing)
      }
    }
  }

  async #try(work: (em: SqlEntityManager) => Promise<(() => Row) | null>): Promise<WriteResult | null> {
    const em = this.#context.fork()
    await em.begin()
    let track: TransactionTrack | undefined
    let row: (() => Row) | null = null
    try {
      track = await this.#context.trackOf(em)
      row = await work(em)
      if (row === null) {
        await em.rollback()
        return null
      }
      await em.commit()
    } catch (error) {
      if (row === null || track?.committed !== true) {
        await this.#rollback(em)
        throw error
      }
      // Committed all the same: a listener of the application failed afterwards.
      this.#context.report(error, { during: 'mikro-orm.afterCommit' })
    }
    return track.announced ? { row: row(), tx: track.id } : { row: row() }
  }

  async #rollback(em: SqlEntityManager): Promise<void> {
    try {
      if (em.isInTransaction()) await em.rollback()
    } catch {
      // The connection is lost, and with it the transaction; the first error says more.
    }
  }

  #compile(filter: Filter): Sql {
    return filterSql(filter, this.#context.dialect, (field) => this.#columns.of(field))
  }

  /** The condition that the key is one of these; `never` if none can be. */
  #isAmong(keys: readonly Key[], condition?: Sql): Sql {
    const columns = (this.#shape.key ?? []).flatMap(({ name }) => this.#columns.of(name) ?? [])
    const among = keySql(keys, columns, this.#context.dialect)
    return condition === undefined || among === never ? among : join('and', [among, condition])
  }
}
