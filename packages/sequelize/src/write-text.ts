import type { Sequelize } from 'sequelize'
import type { Sent } from './drivers/driver.ts'
import { type ModelClass, type UniqueIndex, attributesOf } from './model-class.ts'
import type { Values } from './write-context.ts'

/** What is used of the generator of SQL of a dialect. */
interface QueryGenerator {
  quoteTable(table: unknown): string
  quoteIdentifier(name: string): string
  whereQuery(where: unknown, options: object): string
  getWhereConditions(where: unknown, table: null, model: ModelClass, options: object): string
  bindParam(bind: unknown[]): unknown
  escape(value: unknown, attribute?: object, options?: object): string
}

interface Internals {
  readonly dialect: {
    readonly Query: { formatBindParameters(sql: string, bind: unknown[], dialect: string): [string, unknown] }
  }
}

/** A table as the methods of the query interface get it. */
export type Table = unknown

/** Writes the statements by which the rows of a write are told, as Sequelize itself would write them. */
export class WriteText {
  readonly #sequelize: Sequelize

  constructor(sequelize: Sequelize) {
    this.#sequelize = sequelize
  }

  /** The columns, quoted. */
  columns(names: readonly string[]): string {
    return names.map((name) => this.#generator.quoteIdentifier(name)).join(', ')
  }

  /** A transaction keeps others from writing only once it has written itself. */
  get locksByWriting(): boolean {
    return this.#sequelize.getDialect() === 'sqlite'
  }

  /** Writes nothing, and locks all. */
  lockingWrite(table: Table): Sent {
    return { sql: `DELETE FROM ${this.#generator.quoteTable(table)} WHERE 0` }
  }

  /** The condition of a deletion, or what may stand for it. */
  condition(where: unknown, model: ModelClass): string {
    return this.#generator.getWhereConditions(where, null, model, {})
  }

  /** Selects rows, and locks them where rows can be locked. */
  lockingSelect(
    table: Table,
    {
      columns,
      condition,
      most,
    }: { readonly columns: readonly string[]; readonly condition: string; readonly most: number },
  ): Sent {
    const where = condition === '' ? '' : ` WHERE ${condition}`
    const from = `${this.columns(columns)} FROM ${this.#generator.quoteTable(table)}`
    return { sql: `SELECT ${from}${where} LIMIT ${most + 1}${this.locksByWriting ? '' : ' FOR UPDATE'}` }
  }

  /**
   * Selects and locks the rows of an update or a deletion of MariaDB or MySQL, each with the isolation level that the
   * session has.
   */
  steadySelect(
    table: Table,
    { columns, where, most }: { readonly columns: readonly string[]; readonly where: unknown; readonly most: number },
  ): Sent {
    const bind: unknown[] = []
    const condition = this.#generator.whereQuery(where, { bindParam: this.#generator.bindParam(bind) })
    const isolation = this.#isMariadb ? '@@tx_isolation' : '@@transaction_isolation'
    const selected = `${this.columns(columns)}, ${isolation}`
    const text = `SELECT ${selected} FROM ${this.#generator.quoteTable(table)} ${condition} LIMIT ${most + 1} FOR UPDATE`
    return this.#bound(text, bind)
  }

  /**
   * Selects the rows of MariaDB or MySQL that hold in the columns of an index the values of one of the records. It reads
   * what is there now, and locks what it reads: with another index, or none, that could be all of the table.
   */
  selectAmong(
    table: Table,
    {
      model,
      columns,
      index,
      records,
      most,
    }: {
      readonly model: ModelClass
      readonly columns: readonly string[]
      readonly index: UniqueIndex
      readonly records: readonly Values[]
      readonly most: number
    },
  ): Sent {
    const generator = this.#generator
    const attributes = new Map(attributesOf(model).map(([, attribute]) => [attribute.field, attribute]))
    const tuple = (valueOf: (name: string) => string) => `(${index.columns.map(valueOf).join(', ')})`
    const values = records.map((record) =>
      tuple((name) => generator.escape(record[name], attributes.get(name), { context: 'INSERT' })),
    )
    const from = `${generator.quoteTable(table)} FORCE INDEX (${generator.quoteIdentifier(index.name)})`
    const condition = `${tuple((name) => generator.quoteIdentifier(name))} IN (${values.join(', ')})`
    const limit = `LIMIT ${most + 1} LOCK IN SHARE MODE`
    return { sql: `SELECT ${this.columns(columns)} FROM ${from} WHERE ${condition} ${limit}` }
  }

  #bound(text: string, bind: unknown[]): Sent {
    if (bind.length === 0) return { sql: text }
    const { dialect } = this.#sequelize as unknown as Internals
    const [sql, parameters] = dialect.Query.formatBindParameters(text, bind, this.#sequelize.getDialect())
    return { sql, parameters }
  }

  /** There is no MySQL whose version begins like those of MariaDB. */
  get #isMariadb(): boolean {
    const { options } = this.#sequelize as unknown as { readonly options: { readonly databaseVersion?: unknown } }
    return Number.parseInt(String(options.databaseVersion), 10) >= 10
  }

  get #generator(): QueryGenerator {
    return (this.#sequelize.getQueryInterface() as unknown as { readonly queryGenerator: QueryGenerator })
      .queryGenerator
  }
}
