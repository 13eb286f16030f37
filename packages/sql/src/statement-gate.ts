import type { Dialect } from './dialects/dialect.ts'
import type { Outbox } from './outbox.ts'
import type { RawConnection } from './raw-connection.ts'
import type { StagedTrack, StagedTransaction, StagedWrites } from './staged-writes.ts'
import type { Statement } from './statement.ts'

/** A statement on its way to a connection. */
export interface GatedStatement<T> {
  readonly sql: string
  readonly statement: Statement
  /** The adapter knows of it what it writes. */
  readonly isKnown?: boolean
  /** Sends it, and tells the track of the connection what has become of it. */
  send(): Promise<T>
}

/** What a gate needs around it. */
export interface StatementGateOptions {
  readonly outbox: Outbox
  readonly writes: StagedWrites
  readonly dialect: Dialect
  /** The ORM does not roll back after a commit that has failed. */
  readonly rollsBack: boolean
  /** The entities to which a text of SQL may write. */
  readonly entitiesIn: (sql: string) => readonly string[]
}

/**
 * Lets the statements of one connection through one after the other, and adds what an outbox needs: the row before the
 * outermost commit, and a transaction around a statement that would be committed by itself. Where the row cannot be
 * written, nothing is committed.
 */
export class StatementGate {
  readonly #track: StagedTrack
  readonly #raw: RawConnection
  readonly #options: StatementGateOptions
  #last: Promise<void> | undefined

  constructor(track: StagedTrack, raw: RawConnection, options: StatementGateOptions) {
    this.#track = track
    this.#raw = raw
    this.#options = options
  }

  /** Sends a statement when those before it are done. Answers and fails as the statement does. */
  pass<T>(gated: GatedStatement<T>): Promise<T> {
    const { type } = gated.statement
    const isIndifferent = type === 'read' || type === 'other'
    if (this.#last === undefined && (isIndifferent || this.#options.writes.isStopped)) return gated.send()
    return this.inTurn(() => (isIndifferent || this.#options.writes.isStopped ? gated.send() : this.#handle(gated)))
  }

  /** Runs work on the connection when the statements before it are done. */
  inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last === undefined ? work() : this.#last.then(work)
    const last = turn.then(noMatter, noMatter)
    this.#last = last
    void last.then(() => {
      if (this.#last === last) this.#last = undefined
    })
    return turn
  }

  async #handle<T>(gated: GatedStatement<T>): Promise<T> {
    const { transaction } = this.#track
    const { commitsAtDefinition } = this.#options.dialect
    const { statement, sql } = gated
    switch (statement.type) {
      case 'commit':
        return this.#commit(transaction, gated)
      case 'release':
        if (transaction?.endsWithSavepoint !== true || !transaction.isOutermost(statement.name)) return gated.send()
        return this.#commit(transaction, gated)
      case 'begin':
      case 'definition':
        // Ends the transaction that is open, whatever becomes of itself.
        return commitsAtDefinition ? this.#commit(transaction, gated) : gated.send()
      case 'write':
        if (commitsAtDefinition && /^\s*truncate\b/i.test(sql)) return this.#truncate(transaction, gated)
        if (transaction !== undefined) return gated.send()
        if (gated.isKnown !== true && this.#options.entitiesIn(sql).length === 0) return gated.send()
        return this.#alone(gated)
      default:
        return gated.send()
    }
  }

  async #commit<T>(transaction: StagedTransaction | undefined, gated: GatedStatement<T>): Promise<T> {
    await this.#keep(transaction)
    try {
      return await gated.send()
    } finally {
      // It goes on: the statement has failed, or was none of those that end it.
      if (transaction?.committed === false) this.#options.writes.forgetBatch(transaction)
    }
  }

  /** Ends the open transaction before it begins, so that its row has to be there by then. */
  async #truncate<T>(transaction: StagedTransaction | undefined, gated: GatedStatement<T>): Promise<T> {
    const entities = this.#options.entitiesIn(gated.sql)
    if (transaction !== undefined) {
      for (const entity of entities) transaction.unstaged.add(entity)
      return this.#commit(transaction, gated)
    }
    const { outbox, writes } = this.#options
    const changes = entities.map((entity) => ({ type: 'coarse', entity }) as const)
    if (changes.length > 0) await outbox.keep(this.#raw, { tx: writes.newId(), changes })
    return gated.send()
  }

  /** A statement that would be committed by itself. */
  async #alone<T>(gated: GatedStatement<T>): Promise<T> {
    await this.#raw.send('begin')
    this.#track.succeeded('begin')
    const begun = this.#track.transaction
    let result: { readonly value: T } | { readonly error: unknown }
    try {
      result = { value: await gated.send() }
    } catch (error) {
      result = { error }
    }
    // A statement may fail although it was carried out, if its answer cannot be read.
    const hasWritten = begun !== undefined && this.#track.transaction === begun && begun.entries.length > 0
    if ('error' in result && !hasWritten) await this.#rollBack()
    else {
      try {
        await this.#keep(begun)
        await this.#raw.send('commit')
      } catch (error) {
        await this.#rollBack()
        throw error
      }
      this.#track.succeeded('commit')
    }
    if ('error' in result) throw result.error
    return result.value
  }

  async #keep(transaction: StagedTransaction | undefined): Promise<void> {
    if (transaction === undefined || transaction.failed) return
    const { outbox, writes } = this.#options
    const unstaged = [...transaction.unstaged].map((entity) => ({ type: 'coarse', entity }) as const)
    const changes = [...unstaged, ...writes.batchOf(transaction)]
    if (changes.length === 0) return
    try {
      transaction.rows.push(await outbox.keep(this.#raw, { tx: transaction.id, changes }))
    } catch (error) {
      writes.forgetBatch(transaction)
      // The database will answer the commit with success, and roll back.
      if (isAborted(error)) return
      if (this.#options.rollsBack) await this.#rollBack()
      throw error
    }
  }

  async #rollBack(): Promise<void> {
    try {
      await this.#raw.send('rollback')
    } catch {
      // The connection is lost, and the transaction with it.
    }
    this.#track.succeeded('rollback')
  }
}

/** Whoever waits for a statement hears of its outcome. */
function noMatter(): void {}

/** PostgreSQL: a statement of the transaction has failed, unnoticed. */
function isAborted(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause ?? Reflect.get(cause, 'original')) {
    if (Reflect.get(cause, 'code') === '25P02') return true
  }
  return false
}
