import { databaseErrorKind } from '@rtapi/sql'
import type { Answer, Driver, Sent } from './drivers/driver.ts'
import type { Follow } from './named-cascades.ts'
import type { Found, RowRequest } from './row-request.ts'

/** One statement of Sequelize that is about to be sent. */
export interface Sending {
  readonly connection: object
  readonly request: RowRequest | undefined
  /** Finds what the database will write with the statement. */
  readonly follow?: Follow | undefined
  /** The columns of the request as SQL. */
  readonly columns: string
  /** Whether a transaction is open on the connection. */
  readonly isInTransaction: boolean
  /** Of a transaction with a level of its own: whether what was selected in it stays as it is. */
  readonly isStable: boolean
  readonly sent: Sent
  /** Sends the statement as it is. */
  send(): Promise<unknown>
}

const RETURNING = '\nRETURNING '
const STABLE = /^(repeatable.read|serializable)$/i

/**
 * Learns which rows a statement writes, while it is sent. What Sequelize gets, result or error, is what it would have got
 * without that. Rows that cannot be told for certain, or are more than the bound, are not known.
 */
export class RowFinder {
  readonly #driver: Driver
  readonly #most: number
  /** The kinds of statements that this database does not make return rows. */
  readonly #unreturning = new Set<string>()

  /** @param most - so many rows of a statement are told, and of more none. */
  constructor(driver: Driver, most: number) {
    this.#driver = driver
    this.#most = most
  }

  /** Sends the statement in the way which the request makes possible. */
  async send(sending: Sending): Promise<Found> {
    // On SQLite the connection outside of transactions is shared.
    if (sending.follow !== undefined && (sending.isInTransaction || !this.#driver.sharesConnection))
      return this.#inTransaction(sending, (inside) => this.#following(inside))
    return this.#plain(sending)
  }

  async #plain(sending: Sending): Promise<Found> {
    const { request, sent } = sending
    if (request === undefined) return { result: await sending.send(), rows: undefined }
    if (request.returning && !this.#unreturning.has(verbOf(sent))) return this.#returning(sending)
    return this.#selecting(sending)
  }

  async #returning(sending: Sending): Promise<Found> {
    const { connection, columns, sent } = sending
    const sql = `${sent.sql.replace(/[;\s]+$/, '')}${RETURNING}${columns}`
    let answer: Answer
    try {
      answer = await this.#driver.rows(connection, { ...sent, sql }, this.#most)
    } catch (error) {
      this.#driver.clean(error, sql, sent.sql)
      if (!this.#driver.isUnknown(error)) throw error
      // It has done nothing yet. Should the mistake be another, it will be said now.
      const found = await this.#selecting(sending)
      this.#unreturning.add(verbOf(sent))
      return found
    }
    return { result: this.#driver.resultOf(answer), rows: answer.rows, isReturned: true }
  }

  async #selecting(sending: Sending): Promise<Found> {
    const before = sending.isStable ? sending.request?.before?.() : undefined
    if (before !== undefined) return this.#inTransaction(sending, (inside) => this.#afterSelection(inside, before))
    const after = sending.request?.after
    const result = await sending.send()
    const rows = after && (await this.#select(sending, after.select()))?.rows
    return { result, rows: after && rows && rows.length >= after.least ? rows : undefined }
  }

  async #following(sending: Sending): Promise<Found> {
    const followed = await sending.follow?.(async (select) => (await this.#select(sending, select))?.rows)
    return { ...(await this.#plain(sending)), followed }
  }

  /** Without a transaction the statement gets one of its own, in which it is as whole as it was alone. */
  async #inTransaction(sending: Sending, work: (sending: Sending) => Promise<Found>): Promise<Found> {
    if (sending.isInTransaction) return work(sending)
    const control = async (sql: string) => this.#driver.rows(sending.connection, { sql }, 0)
    await control('START TRANSACTION')
    let found: Found
    try {
      found = await work({ ...sending, isInTransaction: true })
    } catch (error) {
      // If not even this can be sent, the connection is lost, and the transaction with it.
      await control('ROLLBACK').catch(() => {})
      throw error
    }
    await control('COMMIT')
    return found
  }

  async #afterSelection(sending: Sending, before: Sent): Promise<Found> {
    const rows = (await this.#select(sending, before))?.rows
    const result = await sending.send()
    const isStable = rows?.every((row) => STABLE.test(String(row.at(-1)))) === true
    return { result, rows: isStable ? rows.map((row) => row.slice(0, -1)) : undefined }
  }

  async #select({ connection, sent }: Sending, select: Sent): Promise<Answer | undefined> {
    try {
      return await this.#driver.rows(connection, select, this.#most)
    } catch (error) {
      const kind = databaseErrorKind(error)
      // The database may have rolled back: the statement must not be sent then, or not be taken for done.
      if (kind !== 'race' && kind !== 'unavailable' && !this.#driver.failsAsAWhole) return undefined
      this.#driver.clean(error, select.sql, sent.sql)
      throw error
    }
  }
}

function verbOf({ sql }: Sent): string {
  return /^\s*(\w+(\s+ignore)?)/i.exec(sql)?.[1]?.toLowerCase() ?? ''
}
