import { type Driver, type Sent, standInFor, tell } from './driver.ts'

type Callback = (error: Error | null, result?: PgResult) => void

interface PgResult {
  readonly rows: unknown[]
  readonly rowCount: number | null
}

interface PgQuery {
  on(event: 'row', listener: (row: unknown, result: PgResult) => void): unknown
}

interface PgConnection {
  query(query: unknown, ...rest: unknown[]): unknown
}

type PgQueryClass = new (config: object, callback: Callback) => PgQuery

/** The driver `pg` of PostgreSQL. */
export const pgDriver: Driver = {
  failsAsAWhole: true,
  sharesConnection: false,

  standIn(connection, carryOut) {
    const target = connection as PgConnection
    return standInFor(connection, {
      query(sql: string, ...rest: unknown[]) {
        const callback = rest.at(-1) as Callback
        const given = rest.slice(0, -1)
        const sent = given.length === 0 ? { sql } : { sql, parameters: given[0] }
        const send = async () =>
          new Promise<unknown>((resolve, reject) => {
            target.query(sql, ...given, (error: Error | null, result: unknown) =>
              error ? reject(error) : resolve(result),
            )
          })
        void tell(carryOut(sent, send), { done: (result) => callback(null, result as PgResult), failed: callback })
      },
    })
  },

  async rows(connection, sent, most) {
    const { result, count } = await query(connection as PgConnection, sent, most)
    const rows = result.rows as unknown[][]
    return { rows: count > most ? undefined : rows, count: result.rowCount ?? 0, raw: result }
  },

  resultOf: ({ raw }) => Object.assign(raw as PgResult, { rows: [] }),

  clean() {
    // The driver says nothing of the text of a statement.
  },

  isUnknown: () => false,
}

async function query(
  connection: PgConnection,
  { sql, parameters }: Sent,
  most: number,
): Promise<{ result: PgResult; count: number }> {
  const config = { text: sql, values: parameters, rowMode: 'array' }
  const { Query } = connection.constructor as unknown as { readonly Query?: PgQueryClass }
  return new Promise((resolve, reject) => {
    let count = 0
    const callback: Callback = (error, result) => {
      if (error || result === undefined) reject(error ?? new Error('the driver has answered nothing'))
      else resolve({ result, count: Math.max(count, result.rows.length) })
    }
    if (Query === undefined) {
      connection.query(config, callback)
      return
    }
    const sending = new Query(config, callback)
    // Rows come one by one: those which are too many are let go of at once.
    sending.on('row', (_row, { rows }) => {
      count += 1
      if (count > most) rows.length = 0
    })
    connection.query(sending)
  })
}
