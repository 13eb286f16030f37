import { LockMode, type EntityMetadata, raw } from '@mikro-orm/core'
import {
  type AbstractSqlConnection,
  type AbstractSqlPlatform,
  type NativeQueryBuilder,
  QueryType,
} from '@mikro-orm/sql'

/** What is read of MikroORM's query builder, of which most is its own business. */
export interface StatementBuilder {
  readonly type: string
  readonly alias: string
  readonly mainAlias: { readonly meta?: EntityMetadata; readonly subQuery?: unknown; readonly rawTableName?: string }
  readonly state: {
    readonly explicitAlias: boolean
    /** The values by their columns; of an insert perhaps several. */
    readonly data?: object
    readonly insertSubQuery?: unknown
    readonly onConflict?: readonly Conflict[]
  }
  getNativeQuery(): NativeQueryBuilder
  getConnection(): AbstractSqlConnection
}

/** What an insert does about a row that is there already. */
export interface Conflict {
  /** The columns that must not be the same; a fragment of SQL if that has been given. */
  readonly fields: unknown
  readonly ignore?: boolean
  /** What is written then: these columns, or these values by their columns; absent or empty: all. */
  readonly merge?: readonly unknown[] | object
}

interface NativeOptions {
  readonly tableName?: unknown
  readonly indexHint?: unknown
  readonly joins?: readonly unknown[]
  readonly where?: unknown
  readonly ctes?: unknown
  readonly returning?: readonly unknown[]
}

/** A text of SQL with its values. */
export interface Query {
  readonly sql: string
  readonly params: unknown[]
}

/** Makes the query that selects columns of certain rows, and locks them. @param limit - of how many at most. */
export type Selection = (columns: readonly string[], limit?: number) => Query

const VERBS: Readonly<Record<string, 'insert' | 'update' | 'delete'>> = {
  [QueryType.INSERT]: 'insert',
  [QueryType.UPDATE]: 'update',
  [QueryType.DELETE]: 'delete',
}

/** A statement of a query builder that writes to the table of an entity, ready to be sent. */
export class WrittenStatement {
  readonly verb: 'insert' | 'update' | 'delete'
  readonly meta: EntityMetadata
  /** The values it gives to each row, by their columns; `undefined` if they come from a query. */
  readonly rows: readonly object[] | undefined
  readonly conflicts: readonly Conflict[]
  /** The application has asked for columns of the rows. */
  readonly returns: boolean
  readonly #builder: StatementBuilder
  readonly #options: NativeOptions

  private constructor(builder: StatementBuilder, verb: 'insert' | 'update' | 'delete', meta: EntityMetadata) {
    const { data, insertSubQuery, onConflict } = builder.state
    this.verb = verb
    this.meta = meta
    this.rows = insertSubQuery === undefined ? (Array.isArray(data) ? (data as object[]) : [data ?? {}]) : undefined
    this.conflicts = onConflict ?? []
    this.#builder = builder
    this.#options = optionsOf(builder.getNativeQuery())
    this.returns = (this.#options.returning ?? []).length > 0
  }

  /** Answers `undefined` for statements that write nothing, or not to rows of an entity. */
  static of(builder: StatementBuilder): WrittenStatement | undefined {
    const verb = VERBS[builder.type]
    const { meta, subQuery, rawTableName } = builder.mainAlias
    if (verb === undefined || meta === undefined || meta.virtual === true) return undefined
    if (subQuery !== undefined || rawTableName !== undefined) return undefined
    return new WrittenStatement(builder, verb, meta)
  }

  /** The name by which the columns of its table are told from others. */
  get table(): string | undefined {
    if (this.#builder.state.explicitAlias) return this.#builder.alias
    return (this.#options.joins ?? []).length === 0 ? undefined : this.meta.tableName
  }

  /** The rows on which it will write: those which fulfil its condition, word by word. */
  selection(platform: AbstractSqlPlatform): Selection {
    const { tableName, indexHint, joins, where, ctes } = this.#options
    return (columns, limit) => {
      const query = platform.createNativeQueryBuilder().select(columns.map((column) => raw(column)))
      Object.assign(optionsOf(query), { tableName, indexHint, joins, where, ctes })
      if (limit !== undefined) query.limit(limit)
      return query.lockMode(LockMode.PESSIMISTIC_WRITE).compile()
    }
  }
}

/** The rows of a table of which some columns are among those of other rows. */
export function rowsReferencing(
  reference: { readonly table: string; readonly columns: readonly string[]; readonly referenced: readonly string[] },
  others: Selection,
  platform: AbstractSqlPlatform,
): Selection {
  const quoted = reference.columns.map((column) => platform.quoteIdentifier(column))
  return (columns, limit) => {
    const inner = others(reference.referenced.map((column) => platform.quoteIdentifier(column)))
    const query = platform.createNativeQueryBuilder().select(columns.map((column) => raw(column)))
    const row = quoted.length === 1 ? quoted.join('') : `(${quoted.join(', ')})`
    query.from(raw(reference.table)).where(`${row} in (${inner.sql})`, [...inner.params])
    if (limit !== undefined) query.limit(limit)
    return query.lockMode(LockMode.PESSIMISTIC_WRITE).compile()
  }
}

/** What a native query is made of is protected, but only there are conditions as they will be sent. */
function optionsOf(query: NativeQueryBuilder): NativeOptions {
  return (query as unknown as { readonly options: NativeOptions }).options
}
