import {
  type ErrorDetail,
  type Filter,
  type Key,
  type Query,
  type Report,
  type Row,
  RtapiError,
  type Store,
  type StoreDescription,
  type WriteResult,
} from '@rtapi/core'
import { type Column, type Sql, always, describeFields, filterSql, join, keySql, missingIn, never } from '@rtapi/sql'
import { type Model, Op, type Sequelize, Transaction } from 'sequelize'
import { keyOfValues, rowOf } from './known-values.ts'
import { type ModelClass, scopeOf } from './model-class.ts'
import type { Field, ModelShape } from './model-shape.ts'
import { valuesOf } from './record-values.ts'
import type { SqlText } from './sql-text.ts'
import { isRace, storeError } from './store-errors.ts'

/** What becomes of a transaction that the store has begun. */
interface TransactionTrack {
  readonly id: string
  readonly committed: boolean
  /** Changes of it were announced under its id. */
  readonly announced: boolean
}

/** What a store needs of its surroundings. */
export interface SequelizeStoreContext {
  readonly sequelize: Sequelize
  readonly text: SqlText
  readonly report: Report
  /** The record of this instance is locked until the end of the transaction. */
  locked(instance: Model): void
  /** What is known of a transaction that has begun; nothing once the captures were stopped. */
  trackOf(transaction: Transaction): TransactionTrack | undefined
  /** Runs a write when it may begin. */
  inTurn<T>(work: () => Promise<T>): Promise<T>
}

const TRIES = 3

/** Rolls back a transaction of which nothing is to be kept. */
class NothingWritten extends Error {}

interface Selection {
  readonly where: Sql
  readonly transaction?: Transaction
  /** Also records that the scope of the model hides, and those that are deleted softly. */
  readonly all?: boolean
}

/** Reads and writes the records of one model through Sequelize. */
export class SequelizeStore implements Store {
  readonly entity: string
  readonly #shape: ModelShape
  readonly #context: SequelizeStoreContext
  /** The model without its scope, which is added to each query. */
  readonly #model: ModelClass
  readonly #columns: ReadonlyMap<string, Column>
  readonly #fields: readonly Field[]

  /** @throws TypeError if the model cannot be a store: it has no key, or its scope narrows it by associations. */
  constructor(shape: ModelShape, context: SequelizeStoreContext) {
    const { model, key, fields } = shape
    if (key.length === 0) throw new TypeError(`${model.name} has no primary key, which a store needs`)
    checkScope(model)
    this.entity = shape.entity
    this.#shape = shape
    this.#context = context
    this.#model = model.unscoped()
    this.#fields = [...fields.values()]
    this.#columns = new Map(this.#fields.map((field) => [field.name, context.text.column(field, model.name)]))
  }

  describe(): StoreDescription {
    return describeFields(this.#shape.fields, this.#shape.key)
  }

  async read(keys: readonly Key[]): Promise<readonly Row[]> {
    const where = this.#isAmong(keys)
    return where === never ? [] : this.#find({ where }, { order: [] })
  }

  async find(query: Query): Promise<readonly Row[]> {
    return this.#find({ where: this.#compile(query.where) }, query)
  }

  async create(data: Row): Promise<WriteResult> {
    const values = valuesOf(this.#shape, data)
    const result = await this.#write(
      async (transaction) => {
        const instance = await this.#model.create(values, { transaction })
        return this.#rowOfInstance(instance, transaction)
      },
      missingIn(this.#shape.fields, data),
    )
    if (result === null) throw new Error('the created record vanished before its transaction ended')
    return result
  }

  async update(key: Key, patch: Row, where: Filter): Promise<WriteResult | null> {
    this.#checkKey(key, patch)
    const values = valuesOf(this.#shape, patch)
    const matching = this.#isAmong([key], this.#compile(where))
    return this.#write(async (transaction) => {
      const instance = await this.#lock(matching, transaction)
      if (instance === null) return null
      await instance.update(values, { transaction })
      return this.#rowOfInstance(instance, transaction)
    })
  }

  async delete(key: Key, where: Filter): Promise<WriteResult | null> {
    const matching = this.#isAmong([key], this.#compile(where))
    return this.#write(async (transaction) => {
      const instance = await this.#lock(matching, transaction)
      if (instance === null) return null
      const row = await this.#rowOfInstance(instance, transaction)
      await instance.destroy({ transaction })
      return row
    })
  }

  async #find(selection: Selection, query: Pick<Query, 'order' | 'limit'>): Promise<readonly Row[]> {
    try {
      return await this.#select(selection, query)
    } catch (error) {
      throw storeError(error, this.#shape)
    }
  }

  async #select(selection: Selection, { order, limit }: Pick<Query, 'order' | 'limit'>): Promise<readonly Row[]> {
    const { text } = this.#context
    const found = (await this.#model.findAll({
      ...this.#selected(selection),
      attributes: this.#fields.map((field, i) => [text.select(field, this.#columnOf(field.name)), `c${i}`]),
      order: order.map(([name, direction]) => {
        const column = this.#columnOf(name)
        const { dialect } = text
        return text.raw(`${dialect.sortable(column)} ${dialect.direction(direction, column.nullable)}`)
      }),
      ...(limit === undefined ? {} : { limit }),
      raw: true,
    })) as unknown as readonly Readonly<Record<string, unknown>>[]
    const indexes = new Map(this.#fields.map((field, i) => [field, `c${i}`]))
    return found.map((raw) => rowOf(this.#shape, (field) => text.read(field, raw[indexes.get(field) ?? ''])))
  }

  /** Options of a query. Outside of a transaction it takes part in none, and reads what was committed last. */
  #selected({ where, transaction, all }: Selection): object {
    const condition = this.#context.text.condition(where)
    const scope = all === true ? undefined : scopeOf(this.#shape.model).where
    return {
      where: { [Op.and]: scope === undefined ? [condition] : [scope, condition] },
      transaction: transaction ?? null,
      useMaster: true,
      ...(all === true ? { paranoid: false } : {}),
    }
  }

  /** Reads a record that nobody else can change before the end of the transaction. */
  async #lock(where: Sql, transaction: Transaction): Promise<Model | null> {
    if (where === never) return null
    const lock = this.#context.text.dialect.locksByWriting ? {} : { lock: Transaction.LOCK.UPDATE }
    const instance = await this.#model.findOne({ ...this.#selected({ where, transaction }), ...lock })
    if (instance !== null) this.#context.locked(instance)
    return instance
  }

  /** The row as it is stored now, with what the database has made of it. */
  async #rowOfInstance(instance: Model, transaction: Transaction): Promise<Row> {
    const valueOf = (field: Field): unknown => instance.getDataValue(field.name as never) as unknown
    const key = keyOfValues(this.#shape, this.#shape.key.map(valueOf))
    const where = key === undefined ? never : this.#isAmong([key])
    const [row] = await this.#select({ where, transaction, all: true }, { order: [] })
    return row ?? rowOf(this.#shape, valueOf)
  }

  /** Runs the work in one transaction, again if it loses a race; `null` rolls back. */
  async #write(
    work: (transaction: Transaction) => Promise<Row | null>,
    missing?: readonly ErrorDetail[],
  ): Promise<WriteResult | null> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#context.inTurn(() => this.#try(work))
      } catch (error) {
        if (!isRace(error) || attempt === TRIES) throw storeError(error, this.#shape, missing)
      }
    }
  }

  async #try(work: (transaction: Transaction) => Promise<Row | null>): Promise<WriteResult | null> {
    const { sequelize, text } = this.#context
    let done: { readonly row: Row; readonly track: TransactionTrack | undefined } | undefined
    try {
      // SQLite locks nothing but all, so all is locked before anything is read.
      const options = text.dialect.locksByWriting ? { type: Transaction.TYPES.IMMEDIATE } : {}
      await sequelize.transaction(options, async (transaction) => {
        const track = this.#context.trackOf(transaction)
        const row = await work(transaction)
        if (row === null) throw new NothingWritten()
        done = { row, track }
      })
    } catch (error) {
      if (error instanceof NothingWritten) return null
      if (done?.track?.committed !== true) throw error
      // Committed all the same: a hook of the application failed afterwards.
      this.#context.report(error, { during: 'sequelize.afterCommit' })
    }
    if (done === undefined) throw new Error('the transaction ended without its work')
    return done.track?.announced === true ? { row: done.row, tx: done.track.id } : { row: done.row }
  }

  #columnOf(name: string): Column {
    const column = this.#columns.get(name)
    if (column === undefined) throw new TypeError(`the order names the field '${name}', which does not exist`)
    return column
  }

  #compile(filter: Filter): Sql {
    return filterSql(filter, this.#context.text.dialect, (field) => this.#columns.get(field))
  }

  /** The condition that the key is one of these; `never` if none can be. */
  #isAmong(keys: readonly Key[], condition: Sql = always): Sql {
    const columns = this.#shape.key.flatMap(({ name }) => this.#columns.get(name) ?? [])
    const among = keySql(keys, columns, this.#context.text.dialect)
    return condition === always || among === never ? among : join('and', [among, condition])
  }

  /** Sequelize would leave a key as it is, and say nothing. */
  #checkKey(key: Key, patch: Row): void {
    const parts = typeof key === 'object' ? key : [key]
    const details = this.#shape.key.flatMap(({ name }, i): ErrorDetail[] =>
      patch[name] === undefined || patch[name] === parts[i] ? [] : [{ path: [name], message: 'cannot be changed' }],
    )
    if (details.length > 0) throw new RtapiError('invalid', 'the key of a record cannot be changed', { details })
  }
}

/** Only conditions on its own columns can narrow a store; what a scope merely loads besides is left out. */
function checkScope(model: ModelClass): void {
  const { where, include } = scopeOf(model)
  const includes = Array.isArray(include) ? (include as unknown[]) : []
  const narrows = includes.some((one) => {
    if (typeof one !== 'object' || one === null) return false
    return Reflect.get(one, 'required') === true || Reflect.get(one, 'where') !== undefined
  })
  const looksThrough =
    typeof where === 'object' && where !== null && Object.keys(where).some((key) => /^\$.*\$$/.test(key))
  if (narrows || looksThrough) {
    throw new TypeError(`the scope of ${model.name} narrows it by an association: give the store another scope of it`)
  }
}
