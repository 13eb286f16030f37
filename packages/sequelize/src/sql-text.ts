import { type Column, type Dialect, type Sql, readDate, renderSql } from '@rtapi/sql'
import { DATE, type Sequelize, literal } from 'sequelize'
import { type Field, columnOf } from './model-shape.ts'

type Literal = ReturnType<typeof literal>

/** Writes SQL for the statements that Sequelize makes, and reads what their drivers hand over. */
export class SqlText {
  readonly dialect: Dialect
  readonly #sequelize: Sequelize
  readonly #isMysql: boolean
  readonly #isPostgres: boolean
  readonly #timezone: string

  constructor(sequelize: Sequelize, dialect: Dialect) {
    this.dialect = dialect
    this.#sequelize = sequelize
    this.#isMysql = /mysql|mariadb/.test(sequelize.getDialect())
    this.#isPostgres = sequelize.getDialect() === 'postgres'
    this.#timezone = optionOf(sequelize, 'timezone') ?? '+00:00'
  }

  /** The column of a field in a statement in which the table goes by the name of the model, as Sequelize calls it. */
  column(field: Field, alias: string): Column {
    return columnOf(field, `${this.#quote(alias)}.${this.#quote(field.column)}`)
  }

  /** SQL of columns alone, without values. */
  raw(sql: string): Literal {
    return literal(sql)
  }

  /** A condition, with its values as literals. */
  condition(condition: Sql): Literal {
    return literal(`(${renderSql(condition, (value) => this.#escape(value))})`)
  }

  /** What to select so that `read` can tell the value of the field, whichever driver hands it over. */
  select({ attributeType }: Field, column: Column): Literal {
    if (this.#isPostgres && attributeType.key === 'ARRAY') return literal(`to_json(${column.sql})`)
    if (this.#isMysql && this.#travelsAsText(column)) return literal(`cast(${column.sql} as char)`)
    return literal(this.dialect.readColumn(column))
  }

  /** The value of a field, from what was selected. */
  read({ type }: Field, value: unknown): unknown {
    if (type === 'date') return readDate(value, this.#timezone)
    // The driver of PostgreSQL has read it already.
    if (type === 'json' && !this.#isPostgres && typeof value === 'string') return parsed(value)
    return value
  }

  /** Digits that a double cannot hold, years that the engine reads wrongly, text which one driver parses and another does not. */
  #travelsAsText({ type }: Column): boolean {
    if (type === 'date') return /^(Z|[+-]\d\d:\d\d)$/.test(this.#timezone)
    return type === 'bigint' || type === 'decimal' || type === 'json'
  }

  #quote(name: string): string {
    const queryInterface = this.#sequelize.getQueryInterface() as unknown as { quoteIdentifier(name: string): string }
    return queryInterface.quoteIdentifier(name)
  }

  #escape(value: unknown): string {
    return this.#sequelize.escape(value instanceof Date ? this.#dateText(value) : (value as string))
  }

  /** In the form in which Sequelize writes dates. */
  #dateText(date: Date): string {
    const sequelize = this.#sequelize as unknown as {
      normalizeDataType(type: unknown): { stringify(value: Date, options: object): string }
    }
    return sequelize.normalizeDataType(new DATE(6)).stringify(date, { timezone: this.#timezone })
  }
}

function optionOf(sequelize: Sequelize, name: string): string | undefined {
  const value = Reflect.get((sequelize as unknown as { options: object }).options, name) as unknown
  return typeof value === 'string' ? value : undefined
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    // A type that is no JSON, such as a range, is shown as its text.
    return text
  }
}
