import { AsyncLocalStorage } from 'node:async_hooks'
import {
  type StagedTransaction,
  type StagedWrites,
  type Statement,
  type UncapturedWrites,
  type WriteStatement,
  coarseWrite,
  opaqueVerbs,
  readWrites,
} from '@rtapi/sql'
import { type Driver, connectionBehind } from './drivers/driver.ts'
import type { ModelBook } from './model-book.ts'
import type { ModelClass } from './model-class.ts'
import { type ModelWrite, modelWrites } from './model-writes.ts'
import {
  type QueryDialect,
  type QueryOptions,
  QueryTap,
  type QueryTransaction,
  type RunningQuery,
  type StatementCapture,
} from './query-tap.ts'
import { RowFinder } from './row-finder.ts'
import type { Told } from './row-request.ts'
import type { WriteContext } from './write-context.ts'
import { WrittenRows } from './written-rows.ts'

/** A method of the query interface that runs. */
interface Running {
  readonly write: ModelWrite
  /** Its statement has been carried out: what else is sent is not of it. */
  done: boolean
}

type Method = (...args: readonly unknown[]) => unknown

/**
 * Captures what is written through the models of a `Sequelize`: all of them write by the methods of its query interface,
 * with or without hooks. The statement of a method is found again where it is sent, and staged in the transaction that is
 * open on its connection. Statements that come another way, such as by `sequelize.query`, are coarse changes of the
 * tables in their text.
 */
export class WriteCapture {
  readonly tap: QueryTap
  readonly #staged: StagedWrites
  readonly #context: WriteContext
  readonly #uncaptured: UncapturedWrites
  readonly #running = new AsyncLocalStorage<Running | undefined>()

  readonly #driver: Driver
  readonly #finder: RowFinder

  constructor(
    staged: StagedWrites,
    context: WriteContext,
    { driver, uncaptured }: { readonly driver: Driver; readonly uncaptured: UncapturedWrites },
  ) {
    this.#driver = driver
    this.#finder = new RowFinder(driver, context.most)
    this.#staged = staged
    this.#context = context
    this.#uncaptured = uncaptured
    this.tap = new QueryTap(
      () => staged.newTrack(),
      (query, statement) => this.#captureOf(query, statement),
      (track, raw) => staged.newGate(track, raw),
    )
  }

  /** Wraps the dialect and the query interface of a `Sequelize`; returns the undo. */
  attach(dialect: QueryDialect, queryInterface: object): () => void {
    const undo = [
      this.tap.attach(dialect),
      ...Object.entries(modelWrites).map(([name, read]) => this.#wrap(queryInterface, name, read)),
    ]
    return () => {
      for (const restore of undo) restore()
    }
  }

  /** A statement that may write has succeeded: what knows it tells, else its text does. */
  written(sql: string, transaction: StagedTransaction | undefined): void {
    if (this.tap.tell(transaction)) return
    for (const write of readWrites(sql, (name) => this.#book.isTable(name))) {
      if (opaqueVerbs.has(write.verb)) this.#uncaptured.count(write.verb, 'missed')
      for (const table of write.tables) this.#stageTable(table, write, { sql, transaction })
    }
  }

  /** The entities to whose tables a text of SQL writes. */
  entitiesIn(sql: string): readonly string[] {
    const tables = readWrites(sql, (name) => this.#book.isTable(name)).flatMap((write) => write.tables)
    return this.#book.entitiesOf(tables.flatMap((table) => [...this.#book.modelsOf(table)]))
  }

  get #book(): ModelBook {
    return this.#context.book
  }

  #wrap(target: object, name: string, read: (typeof modelWrites)[string]): () => void {
    const method = Reflect.get(target, name) as Method
    const isOwn = Object.hasOwn(target, name)
    const wrapped: Method = (...args) => {
      let write: ModelWrite | undefined
      void this.#staged.guard(() => {
        write = read(this.#context, args)
      })
      const running = write && { write, done: false }
      return this.#running.run(running, () => method.apply(target, [...args]))
    }
    Reflect.set(target, name, wrapped)
    return () => {
      // Somebody may have wrapped it again.
      if (Reflect.get(target, name) !== wrapped) return
      if (isOwn) Reflect.set(target, name, method)
      else Reflect.deleteProperty(target, name)
    }
  }

  #captureOf(query: RunningQuery, statement: Statement): StatementCapture | undefined {
    const { model, instance } = query
    const running = this.#running.getStore()
    if (running === undefined || running.done) return undefined
    if (statement.type !== 'write' && statement.type !== 'definition') return undefined
    const { write } = running
    if (model?.name !== write.model.name || (write.instance !== undefined && instance !== write.instance))
      return undefined
    let told: Told = {}
    const written = (result: unknown, transaction: StagedTransaction | undefined) => {
      running.done = true
      this.#stage(write, { result, told }, transaction)
    }
    const isAsked = (write.request ?? write.follow) !== undefined
    // Another source on the same Sequelize asks already.
    const isTaken = connectionBehind(query.connection) !== query.connection
    if (!isAsked || isTaken || isSpecial(query.options)) return { written }
    return {
      written,
      send: async (isInTransaction, send) =>
        this.#find(query, write, { isInTransaction, send, told: (found) => (told = found) }),
    }
  }

  /** Sends a statement on a stand-in for its connection, which asks for its rows. */
  async #find(
    query: RunningQuery,
    { request, follow }: ModelWrite,
    {
      isInTransaction,
      send,
      told,
    }: {
      readonly isInTransaction: boolean
      readonly send: () => Promise<unknown>
      readonly told: (told: Told) => void
    },
  ): Promise<unknown> {
    const { connection, options } = query
    const sending = {
      connection,
      request,
      follow,
      columns: request === undefined ? '' : this.#context.text.columns(request.columns),
      isInTransaction: isInTransaction || (options?.transaction ?? null) !== null,
      isStable: isStable(options?.transaction),
    }
    query.connection = this.#driver.standIn(connection, async (sent, sendAsIs) => {
      const { result, rows, isReturned, followed } = await this.#finder.send({ ...sending, sent, send: sendAsIs })
      told({
        rows: rows?.map((row) => Object.fromEntries(request?.columns.map((column, i) => [column, row[i]]) ?? [])),
        isReturned,
        followed,
      })
      return result
    })
    try {
      return await send()
    } finally {
      query.connection = connection
    }
  }

  #stage(
    write: ModelWrite,
    { result, told }: { readonly result: unknown; readonly told: Told },
    transaction: StagedTransaction | undefined,
  ): void {
    try {
      const written = write.describe(result, told)
      if (written !== undefined) {
        this.#staged.stage(transaction, new WrittenRows(written, this.#context, this.#uncaptured))
      }
    } catch (error) {
      // Whatever it was, something of the model was written.
      const cascaded = this.#book.cascades.onDelete(write.model)
      this.#staged.stage(transaction, coarseWrite(this.#book.entitiesOf([write.model, ...cascaded])))
      throw error
    }
  }

  #stageTable(
    table: string,
    { verb }: WriteStatement,
    { sql, transaction }: { readonly sql: string; readonly transaction: StagedTransaction | undefined },
  ): void {
    const models = this.#book.modelsOf(table)
    const entities = this.#book.entitiesOf([...models, ...models.flatMap((model) => this.#cascaded(model, verb, sql))])
    this.#staged.stage(transaction, {
      addTo: (log) => {
        this.#uncaptured.count(`${verb} ${table}`, 'coarse')
        for (const entity of entities) log.addCoarse(entity)
      },
    })
  }

  #cascaded(model: ModelClass, verb: string, sql: string): readonly ModelClass[] {
    const { cascades } = this.#book
    const isReplace = /\bor\s+replace\b/i.test(sql)
    if (verb === 'update' || (verb === 'insert' && !isReplace)) {
      const updates = verb === 'update' || /\bon\s+(duplicate|conflict)\b/i.test(sql)
      const columns = updates ? this.#book.columnsOf(model).filter((column) => sets(sql, column)) : []
      return cascades.onKeyChange(model, columns)
    }
    return cascades.onDelete(model, verb === 'truncate' && /\bcascade\b/i.test(sql))
  }
}

/** The statement is one of several in a text, or what its answer lacks would be noticed. */
function isSpecial(options: QueryOptions = {}): boolean {
  return (options.searchPath ?? '') !== '' || options.showWarnings === true
}

/** Whether the outermost transaction lets nobody else change what it has read to write it. */
function isStable(transaction: QueryTransaction | null | undefined): boolean {
  if (transaction?.parent) return isStable(transaction.parent)
  const level = transaction?.options?.isolationLevel ?? 'REPEATABLE READ'
  return typeof level === 'string' && /^(repeatable read|serializable)$/i.test(level)
}

/** Whether a statement may change a column; it rather says so once too often. */
function sets(sql: string, column: string): boolean {
  const name = column.replace(/\W/g, '\\$&')
  const assigned = new RegExp(`(^|[^\\w$])${name}["\`\\]]?\\s*=`, 'i')
  const named = new RegExp(`(^|[^\\w$])${name}([^\\w$]|$)`, 'i')
  return [...sql.matchAll(/\b(?:set|update)\b([^]*?)(?=\bwhere\b|$)/gi)].some(([, part = '']) => {
    // Of a list of columns in brackets one may be it.
    return assigned.test(part) || (/\)\s*=/.test(part) && named.test(part))
  })
}
