import { DatabaseSync, type SQLInputValue } from 'node:sqlite'

type Callback = (this: Statement, error: Error | null, rows?: unknown[]) => void

/** What callbacks have as `this`; Sequelize looks for the name of the class. */
class Statement {
  readonly lastID: number
  readonly changes: number

  constructor(lastID: number, changes: number) {
    this.lastID = lastID
    this.changes = changes
  }
}

/** As much of the package `sqlite3` as Sequelize uses, on the SQLite that is built into Node. */
class Database {
  readonly filename: string
  readonly #database: DatabaseSync

  constructor(filename: string, _mode: number, opened: (error: Error | null) => void) {
    this.filename = filename
    this.#database = new DatabaseSync(filename)
    if (filename !== ':memory:') this.#database.exec('pragma journal_mode = wal; pragma synchronous = off')
    setImmediate(opened, null)
  }

  run(sql: string, ...rest: unknown[]): this {
    const [parameters, callback] = split(rest)
    return this.#answer(callback, () => {
      const { lastInsertRowid, changes } = this.#prepare(sql).run(...parameters)
      return { statement: new Statement(Number(lastInsertRowid), Number(changes)) }
    })
  }

  all(sql: string, ...rest: unknown[]): this {
    const [parameters, callback] = split(rest)
    return this.#answer(callback, () => ({
      statement: new Statement(0, 0),
      rows: this.#prepare(sql)
        .all(...parameters)
        .map(withoutBigInts),
    }))
  }

  exec(sql: string, callback?: Callback): this {
    return this.#answer(callback, () => {
      this.#database.exec(sql)
      return { statement: new Statement(0, 0) }
    })
  }

  serialize(work: () => void): void {
    work()
  }

  close(callback?: (error: Error | null) => void): void {
    this.#database.close()
    if (callback !== undefined) setImmediate(callback, null)
  }

  #prepare(sql: string) {
    const statement = this.#database.prepare(sql)
    statement.setAllowUnknownNamedParameters(true)
    statement.setReadBigInts(true)
    return statement
  }

  /** Runs at once, and answers later. */
  #answer(callback: Callback | undefined, work: () => { statement: Statement; rows?: unknown[] }): this {
    let error: Error | null = null
    let answer: { statement: Statement; rows?: unknown[] } = { statement: new Statement(0, 0) }
    try {
      answer = work()
    } catch (thrown) {
      error = withCode(thrown as Error & { errcode?: number })
    }
    if (callback !== undefined) setImmediate(() => callback.call(answer.statement, error, answer.rows))
    return this
  }
}

/** A module for the option `dialectModule` of Sequelize. */
export const nodeSqlite = { Database, OPEN_READONLY: 1, OPEN_READWRITE: 2, OPEN_CREATE: 4 }

const codes: Readonly<Record<number, string>> = { 5: 'SQLITE_BUSY', 6: 'SQLITE_LOCKED', 19: 'SQLITE_CONSTRAINT' }

function withCode(error: Error & { errcode?: number }): Error {
  const code = codes[(error.errcode ?? 1) & 0xff] ?? 'SQLITE_ERROR'
  return Object.assign(new Error(`${code}: ${error.message}`), { code, errno: (error.errcode ?? 1) & 0xff })
}

function split(rest: unknown[]): [SQLInputValue[], Callback | undefined] {
  const callback = rest.at(-1)
  const given = typeof callback === 'function' ? rest.slice(0, -1) : rest
  const values = given.flatMap((parameters): SQLInputValue[] => {
    if (Array.isArray(parameters)) return parameters.map(bindable)
    const named = Object.entries(parameters as object).map(([name, value]) => [name, bindable(value)])
    return named.length === 0 ? [] : [Object.fromEntries(named) as never]
  })
  return [values, typeof callback === 'function' ? (callback as Callback) : undefined]
}

function bindable(value: unknown): SQLInputValue {
  if (value === undefined) return null
  return typeof value === 'boolean' ? Number(value) : (value as SQLInputValue)
}

/** `sqlite3` hands over doubles. */
function withoutBigInts(row: object): object {
  return Object.fromEntries(
    Object.entries(row).map(([name, value]) => [name, typeof value === 'bigint' ? Number(value) : (value as unknown)]),
  )
}
