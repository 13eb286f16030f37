import { Client, type ClientConfig } from 'pg'
import { type EntryTypes, readEntryTypes } from './column-types.ts'
import { type LiveTable, type OutboxPlace, capturesOf } from './live-table.ts'
import { wakeUpChannel } from './outbox-sql.ts'
import { type OutboxStatus, outboxStatus } from './outbox-setup.ts'
import { quoted } from './sql-text.ts'

/** The database has no outbox, or it does not hear of some of the tables. */
export class OutboxError extends Error {
  /** Stable, for programs. */
  readonly code = 'outbox_not_installed'
}

/** What a session is opened with. */
export interface SessionOptions {
  readonly connection: string | ClientConfig
  readonly tables: readonly LiveTable[]
  readonly place: OutboxPlace
  /** A commit may have filled the outbox, or the connection was lost. */
  wake(): void
}

/** One connection to the database, on which the relay listens, reads and forgets. */
export class RelaySession {
  readonly client: Client
  /** Tables whose triggers were made from another description. */
  outdated: readonly string[] = []
  readonly #options: SessionOptions
  readonly #types = new Map<string, EntryTypes>()
  #failure: Error | undefined
  #closing: Promise<void> | undefined

  private constructor(options: SessionOptions) {
    this.#options = options
    const { connection } = options
    this.client = new Client({
      connectionTimeoutMillis: 5_000,
      query_timeout: 10_000,
      keepAlive: true,
      application_name: 'rtapi',
      ...(typeof connection === 'string' ? { connectionString: connection } : connection),
    })
    const lost = (error?: Error): void => {
      this.#failure ??= error ?? new Error('the connection to PostgreSQL was lost')
      options.wake()
    }
    this.client.on('error', lost)
    this.client.on('end', () => lost())
    this.client.on('notification', () => options.wake())
  }

  /**
   * Connects, and looks whether everything is installed.
   * @throws OutboxError if it is not, TypeError if a column is missing or its type is not clear, and what `pg` throws.
   */
  static async open(options: SessionOptions): Promise<RelaySession> {
    const session = new RelaySession(options)
    try {
      await session.client.connect()
      await session.#prepare()
      return session
    } catch (error) {
      await session.close()
      throw error
    }
  }

  /** Why the connection is of no use any more. */
  get failure(): Error | undefined {
    return this.#failure
  }

  /** The types of an entity's values. */
  readonly typesOf = (entity: string): EntryTypes | undefined => this.#types.get(entity)

  /** Tries to be the one session that announces changes; that ends with the connection. */
  async lead(): Promise<boolean> {
    const { rows } = await this.client.query<{ leads: boolean }>(
      'select pg_try_advisory_lock(hashtextextended($1, 0)) as leads',
      [`rtapi ${this.#options.place.schema}`],
    )
    return rows[0]?.leads === true
  }

  /** Ends the connection; a statement that is under way is cut off. */
  close(): Promise<void> {
    this.#closing ??= this.client.end().catch(() => undefined)
    return this.#closing
  }

  async #prepare(): Promise<void> {
    const { tables, place } = this.#options
    const status = await outboxStatus(this.client, tables, place)
    this.outdated = status.tables.filter(({ state }) => state === 'outdated').map(nameOf)
    const missing = status.tables.filter(({ state }) => state === 'missing' || state === 'disabled')
    if (!status.outbox || missing.length > 0) throw new OutboxError(complaint(status, place))
    for (const capture of capturesOf(tables)) {
      const types = await readEntryTypes(this.client, capture)
      for (const [i, entry] of capture.entries.entries()) this.#addTypes(entry, types[i])
    }
    if (place.notify) await this.client.query(`listen ${quoted(wakeUpChannel(place))}`)
  }

  /** An entity may lie in several tables, parts of it in others. */
  #addTypes({ entity, part }: LiveTable, types: EntryTypes | undefined): void {
    const known = this.#types.get(entity)
    if (types === undefined || (known !== undefined && part === true)) return
    this.#types.set(entity, { key: types.key, fields: { ...known?.fields, ...types.fields } })
  }
}

function nameOf({ schema, table }: { readonly schema: string; readonly table: string }): string {
  return `${schema}.${table}`
}

function complaint({ outbox, tables }: OutboxStatus, { schema }: OutboxPlace): string {
  const advice = "run 'rtapi-postgres install', or the SQL that outboxSql makes, on this database"
  if (!outbox) return `there is no outbox in the schema '${schema}': ${advice}`
  const faults = tables.flatMap((table) =>
    table.state === 'missing' || table.state === 'disabled' ? [`${nameOf(table)} (${table.state})`] : [],
  )
  return `the triggers of some tables are missing or disabled: ${faults.join(', ')}; ${advice}`
}
