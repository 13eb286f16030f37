import type { LoggingOptions } from '@mikro-orm/core'
import type { AbstractSqlConnection, AbstractSqlDriver, AbstractSqlPlatform } from '@mikro-orm/sql'
import { type StagedWrite, type UncapturedWrites, sqliteDialect } from '@rtapi/sql'
import type { ContextStaging, TransactionContext } from './context-staging.ts'
import type { Dependents } from './dependents.ts'
import { dialectOf } from './dialect-of.ts'
import type { DriverCall, DriverCalls } from './driver-call.ts'
import type { EntityBook } from './entity-book.ts'
import type { RowNames } from './row-names.ts'
import { type StatementOutcome, outcomeWrite } from './statement-outcome.ts'
import { type Conflict, type Query, type StatementBuilder, WrittenStatement } from './written-statement.ts'

type Method = 'all' | 'get' | 'run'
type Context = TransactionContext | undefined

type ResultRow = Record<string, unknown>

/** What the connection answers. */
interface DriverResult {
  readonly affectedRows?: number
  readonly insertId?: unknown
  readonly row?: ResultRow | undefined
  readonly rows?: readonly ResultRow[]
}

/** What a query builder is about to send, and how. */
interface Sending extends Query {
  readonly connection: AbstractSqlConnection
  readonly context: Context
  readonly logging: LoggingOptions | undefined
}

/** A statement whose records can be named, and how. */
interface Plan {
  readonly statement: WrittenStatement
  readonly names: RowNames
  /** The call of the driver to which it belongs; `undefined` if the application has built it. */
  readonly call: DriverCall | undefined
  /**
   * `returned`: the database answers the rows. `locked`: they are selected and locked before. `given`: the statement
   * says which they are.
   */
  readonly by: 'returned' | 'locked' | 'given'
  readonly dependents: boolean
}

/** The column under which SQLite answers what it answers of a statement without columns. */
const LAST_ID = '__rtapi_last'

export interface StatementCaptureOptions {
  readonly staged: () => ContextStaging
  readonly book: EntityBook
  readonly uncaptured: UncapturedWrites
  readonly calls: DriverCalls
  readonly dependents: Dependents
  readonly platform: AbstractSqlPlatform
  /** How many records of one statement are named at most. */
  readonly most: number
  /** Keys are kept in an outbox, and so must be known before the statement is committed. */
  readonly keeps: boolean
}

/**
 * Names the records that statements of query builders write: those which the application makes, and those by which
 * `em.nativeUpdate` and `em.nativeDelete` work. The database is asked for the keys of the rows in the same statement
 * where it can answer them, else before it in the same transaction. Whatever else the application has asked for it gets
 * as it would without.
 */
export class StatementCapture {
  readonly #options: StatementCaptureOptions
  readonly #isSqlite: boolean
  readonly #isMariaDb: boolean

  constructor(options: StatementCaptureOptions) {
    this.#options = options
    this.#isSqlite = dialectOf(options.platform) === sqliteDialect
    this.#isMariaDb = /mariadb/i.test(options.platform.constructor.name)
  }

  /** Wraps the method of the driver that makes query builders; returns the undo. */
  attach(driver: AbstractSqlDriver): () => void {
    const create = driver.createQueryBuilder.bind(driver)
    const wrapped: typeof create = (...args) => {
      const builder = create(...args)
      this.#watch(builder as unknown as StatementBuilder)
      return builder
    }
    Object.defineProperty(driver, 'createQueryBuilder', { value: wrapped, configurable: true, writable: true })
    return () => void Reflect.deleteProperty(driver, 'createQueryBuilder')
  }

  #watch(builder: StatementBuilder): void {
    const getConnection = builder.getConnection.bind(builder)
    builder.getConnection = () => {
      const connection = getConnection()
      const plan = this.#planOf(builder)
      return plan === undefined ? connection : this.#connectionOf(plan, connection)
    }
  }

  #connectionOf(plan: Plan, connection: AbstractSqlConnection): AbstractSqlConnection {
    const execute = (
      sql: string,
      params: unknown[] = [],
      method: Method = 'all',
      context?: Context,
      logging?: LoggingOptions,
    ) => this.#execute(plan, method, { connection, sql, params, context, logging })
    const transactional: AbstractSqlConnection['transactional'] = (work, options) =>
      connection.transactional(work, options)
    const stream: AbstractSqlConnection['stream'] = (...rest) => connection.stream(...rest)
    // All that a query builder asks of a connection.
    return { execute, transactional, stream } as unknown as AbstractSqlConnection
  }

  async #execute(plan: Plan, method: Method, sending: Sending): Promise<unknown> {
    const result = await this.#options.calls.run({ sent: plan.call?.sent }, async () => this.#send(plan, sending))
    return method === 'run' ? result : method === 'all' ? result.rows : result.rows?.[0]
  }

  #planOf(builder: StatementBuilder): Plan | undefined {
    const call = this.#options.calls.getStore()
    if (call !== undefined && call.names !== true && call.dependents !== true) return undefined
    let plan: Plan | undefined
    void this.#options.staged().guard(() => {
      const statement = WrittenStatement.of(builder)
      const names = statement && this.#options.book.namesOf(statement.meta)
      if (statement === undefined || names === undefined) return
      const dependents = statement.verb === 'delete' && this.#options.dependents.has(statement.meta)
      const by = this.#wayOf(statement, names, dependents)
      if (by !== undefined) plan = { statement, names, call, by, dependents }
    })
    return plan
  }

  #wayOf(statement: WrittenStatement, names: RowNames, dependents: boolean): Plan['by'] | undefined {
    const { verb, rows, conflicts } = statement
    const returns = this.#options.platform.usesReturningStatement()
    if (verb === 'insert') {
      if (!returns) return rows === undefined || conflicts.length > 0 ? undefined : 'given'
      return conflicts.every((conflict) => keepsKey(statement, names, conflict)) ? 'returned' : undefined
    }
    if (verb === 'update' && rows?.some((row) => names.areAmong(row)) === true) return 'locked'
    return !dependents && (returns || (this.#isMariaDb && verb === 'delete')) ? 'returned' : 'locked'
  }

  async #send(plan: Plan, sending: Sending): Promise<DriverResult> {
    const { connection, context, logging } = sending
    if (context === undefined && (plan.by === 'locked' || this.#options.keeps)) {
      const options = logging === undefined ? {} : { loggerContext: logging }
      return connection.transactional(
        async (own: TransactionContext) => this.#send(plan, { ...sending, context: own }),
        options,
      )
    }
    if (plan.by === 'locked') return this.#sendLocked(plan, sending)
    return plan.by === 'returned' ? this.#sendReturning(plan, sending) : this.#sendGiven(plan, sending)
  }

  async #sendGiven(plan: Plan, sending: Sending): Promise<DriverResult> {
    const result = await this.#run(sending, sending)
    await this.#tell(plan, sending.context, () => ({
      affected: result.affectedRows ?? 0,
      rows: plan.names.ofInserted(plan.statement.rows ?? [], result.insertId),
    }))
    return result
  }

  /** The statement answers the rows that it has written. */
  async #sendReturning(plan: Plan, sending: Sending): Promise<DriverResult> {
    const { names, statement } = plan
    const isAsked = statement.returns
    const columns = [...names.columns()]
    if (this.#isSqlite && !isAsked) columns.push(`last_insert_rowid() as ${LAST_ID}`)
    const sql = `${sending.sql}${isAsked ? ', ' : ' returning '}${columns.join(', ')}`
    const result = await this.#run(sending, { sql, params: sending.params })
    const { rows = [] } = result
    await this.#tell(plan, sending.context, () => ({
      affected: rows.length,
      rows: rows.length > this.#options.most ? undefined : rows.map((row) => names.ofRow(row)),
    }))
    if (isAsked) {
      for (const row of rows) names.strip(row)
      return result
    }
    const last = rows.at(-1)?.[LAST_ID]
    return { ...result, insertId: last === undefined ? result.insertId : Number(last), row: undefined, rows: [] }
  }

  /** The rows are locked before: so the statement writes those, unless it writes another number of them. */
  async #sendLocked(plan: Plan, sending: Sending): Promise<DriverResult> {
    const { statement, names, call } = plan
    const { most, platform, dependents } = this.#options
    const query = async (one: Query): Promise<readonly ResultRow[]> => (await this.#run(sending, one)).rows ?? []
    const selection = statement.selection(platform)
    if (this.#isSqlite) await query(this.#touch(statement))
    const found = await query(selection(names.columns(statement.table), most + 1))
    const isFew = found.length <= most
    const dependent = plan.dependents && isFew ? await dependents.find(statement.meta, selection, query) : undefined
    const result = await this.#run(sending, sending)
    await this.#tell(plan, sending.context, () => {
      const affected = result.affectedRows ?? 0
      const before = new Map(isFew ? found.map((row) => [JSON.stringify(names.ofRow(row)), row]) : [])
      const rows = before.size === affected ? [...before.values()] : undefined
      const written = statement.verb === 'update' ? (statement.rows?.[0] ?? {}) : {}
      if (call !== undefined) call.namedDependents = rows !== undefined && dependent !== undefined
      return {
        affected,
        rows: rows?.map((row) => names.ofRow(row)),
        ...(names.areAmong(written) ? { moved: rows?.map((row) => names.ofRow(row, written)) ?? [undefined] } : {}),
        ...(dependent === undefined || rows === undefined ? {} : { dependents: dependent }),
      }
    })
    return result
  }

  async #tell(plan: Plan, context: Context, outcomeOf: () => StatementOutcome): Promise<void> {
    await this.#options.staged().guard(async () => {
      const { statement, call } = plan
      const outcome = outcomeOf()
      if (call?.names !== true && call !== undefined) {
        // The rows themselves are told of elsewhere.
        for (const write of outcome.dependents ?? []) await this.#stage(context, write)
        return
      }
      if (call !== undefined) call.named = true
      const write = outcomeWrite(statement, outcome, this.#options)
      if (write !== undefined) await this.#stage(context, write)
    })
  }

  #stage(context: Context, write: StagedWrite): void | Promise<void> {
    return this.#options.staged().stage(context, write)
  }

  async #run({ connection, context, logging }: Sending, { sql, params }: Query): Promise<DriverResult> {
    return connection.execute<DriverResult>(sql, params, 'run', context, logging)
  }

  /** Takes the lock of the database at once: a transaction that has read may not be able to later. */
  #touch({ meta }: WrittenStatement): Query {
    const { platform } = this.#options
    const [column = ''] = meta.getPrimaryProps().flatMap(({ fieldNames }) => fieldNames)
    const key = platform.quoteIdentifier(column)
    return { sql: `update ${platform.quoteIdentifier(meta.tableName)} set ${key} = ${key} where 1 = 0`, params: [] }
  }
}

/** Whether a row that was there keeps its key if it is written instead of a new one. */
function keepsKey({ rows }: WrittenStatement, names: RowNames, { fields, ignore, merge }: Conflict): boolean {
  if (ignore === true || (Array.isArray(fields) && names.isKeyAmong(fields))) return true
  const merged = Array.isArray(merge) ? Object.fromEntries(merge.map((column) => [String(column), true])) : merge
  const all = merged === undefined || Object.keys(merged).length === 0
  return all ? rows?.some((row) => names.areAmong(row)) === false : !names.areAmong(merged)
}
