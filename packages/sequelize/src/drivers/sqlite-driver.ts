import { type Driver, answerOf, resay, standInFor, tell } from './driver.ts'

/** What callbacks have as `this`. */
interface SqliteStatement {
  lastID?: number
  changes?: number
}

type Callback = (this: SqliteStatement, error: Error | null, rows?: readonly object[]) => void

interface SqliteConnection {
  run(sql: string, ...rest: unknown[]): unknown
  all(sql: string, ...rest: unknown[]): unknown
}

interface Raw {
  readonly statement: SqliteStatement
  readonly rows?: readonly object[]
}

/** The driver `sqlite3`, and what is made like it. */
export const sqliteDriver: Driver = {
  failsAsAWhole: false,
  sharesConnection: true,

  standIn(connection, carryOut) {
    const target = connection as SqliteConnection
    const carry = (method: 'run' | 'all') => (sql: string, parameters: unknown, callback?: Callback) => {
      // What Sequelize asks of the table before it sends the statement.
      if (callback === undefined) return target[method](sql, parameters)
      const send = async () => call(target, method, sql, parameters)
      void tell(carryOut({ sql, parameters }, send), {
        done(result) {
          const { statement, rows } = result as Raw
          callback.call(statement, null, rows)
        },
        failed: (error) => callback.call({}, error),
      })
      return target
    }
    return standInFor(connection, { run: carry('run'), all: carry('all') })
  },

  async rows(connection, { sql, parameters }, most) {
    const target = connection as SqliteConnection
    const answers = [call(target, 'all', sql, parameters ?? [])]
    // Sent in one go, so that nothing of somebody else comes between: what `run` would have said of an insert.
    if (/^\s*insert\b/i.test(sql)) answers.push(call(target, 'all', 'select last_insert_rowid(), changes()', []))
    const [first, second] = await Promise.all(answers)
    const [ids] = second?.rows ?? []
    const [lastID, changes] = ids === undefined ? [undefined, first?.rows?.length] : (Object.values(ids) as number[])
    const statement = Object.assign(first?.statement ?? {}, { changes, ...(lastID === undefined ? {} : { lastID }) })
    const rows = (first?.rows ?? []).map((row) => Object.values(row) as unknown[])
    return answerOf(rows, most, statement)
  },

  resultOf: ({ raw }) => ({ statement: raw as SqliteStatement }),

  clean: resay,

  // `returning` came with SQLite 3.35.
  isUnknown: (error) => error instanceof Error && /near "returning": syntax error/i.test(error.message),
}

async function call(
  connection: SqliteConnection,
  method: 'run' | 'all',
  sql: string,
  parameters: unknown,
): Promise<Raw> {
  return new Promise((resolve, reject) => {
    const callback: Callback = function callback(error, rows) {
      if (error) reject(error)
      else resolve(rows === undefined ? { statement: this } : { statement: this, rows })
    }
    connection[method](sql, parameters, callback)
  })
}
