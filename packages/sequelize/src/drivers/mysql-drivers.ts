import { type Driver, type Sent, answerOf, resay, standInFor, tell } from './driver.ts'

/** What the drivers say of a statement that wrote; Sequelize asks one of them for the name of the class. */
class ResultSetHeader {
  readonly affectedRows: number
  readonly insertId: number
  readonly warningStatus = 0

  constructor(affectedRows: number, insertId: number) {
    this.affectedRows = affectedRows
    this.insertId = insertId
  }
}

const common = {
  failsAsAWhole: false,
  sharesConnection: false,

  /** Only inserts whose keys the database makes are asked for rows: the first is what the driver calls `insertId`. */
  resultOf: ({ raw, count }) => new ResultSetHeader(count, Number(raw ?? 0)),
  clean: resay,
  // MySQL does not know `returning`, and MariaDB not in each statement.
  isUnknown: (error) => error instanceof Error && Reflect.get(error, 'errno') === 1064,
} satisfies Partial<Driver>

interface MariadbConnection {
  query(sql: unknown, parameters?: unknown): Promise<unknown>
}

/** The driver `mariadb` of MariaDB and MySQL. */
export const mariadbDriver: Driver = {
  ...common,

  standIn(connection, carryOut) {
    const target = connection as MariadbConnection
    return standInFor(connection, {
      query: async (sql: string, parameters: unknown) =>
        carryOut({ sql, parameters }, async () => target.query(sql, parameters)),
    })
  },

  async rows(connection, { sql, parameters }, most) {
    const target = connection as MariadbConnection
    return ofRows(await target.query({ sql, rowsAsArray: true }, parameters), most)
  },
}

type Callback = (error: Error | null, result?: unknown) => void

interface Mysql2Connection {
  query(options: object, callback: Callback): unknown
  execute(options: unknown, ...rest: unknown[]): unknown
}

/** The driver `mysql2` of MySQL and MariaDB. */
export const mysql2Driver: Driver = {
  ...common,

  standIn(connection, carryOut) {
    const target = connection as Mysql2Connection
    // Sequelize sets how many listeners the command may have.
    const command = { setMaxListeners: () => command }
    const carry = (sent: Sent, callback: Callback) => {
      const send = async () => sendTo(target, sent)
      void tell(carryOut(sent, send), { done: (result) => callback(null, result), failed: callback })
      return command
    }
    return standInFor(connection, {
      query: ({ sql }: { readonly sql: string }, callback: Callback) => carry({ sql }, callback),
      execute: (sql: string, parameters: unknown, callback: Callback) => carry({ sql, parameters }, callback),
    })
  },

  async rows(connection, sent, most) {
    return ofRows(await sendTo(connection as Mysql2Connection, sent, { rowsAsArray: true }), most)
  },
}

async function sendTo(connection: Mysql2Connection, { sql, parameters }: Sent, options: object = {}): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const callback: Callback = (error, result) => (error ? reject(error) : resolve(result))
    if (parameters === undefined) connection.query({ sql, ...options }, callback)
    else connection.execute({ sql, values: parameters, ...options }, callback)
  })
}

function ofRows(result: unknown, most: number) {
  const rows = Array.isArray(result) ? (result as unknown[][]) : []
  return answerOf(rows, most, rows[0]?.[0])
}
