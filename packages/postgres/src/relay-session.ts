import type { Clock } from '@rtapi/core'
import type { Client } from 'pg'
import { type EntryTypes, entityTypes } from './column-types.ts'
import { type DatabaseAddress, DatabaseLink } from './database-link.ts'
import { type LiveTable, type OutboxPlace, tableName } from './live-table.ts'
import { wakeUpChannel } from './outbox-sql.ts'
import { type OutboxStatus, outboxStatus } from './outbox-status.ts'
import { SetupError } from './setup-error.ts'
import { quoted } from './sql-text.ts'

/** What a session is opened with. */
export interface SessionOptions {
  readonly connection: DatabaseAddress
  readonly tables: readonly LiveTable[]
  readonly place: OutboxPlace
  readonly clock: Clock
  /** A commit may have filled the outbox, or the connection was lost. */
  readonly wake: () => void
}

/** One connection to the database, on which the relay listens, reads and forgets. */
export class RelaySession {
  /** Tables whose triggers were made from another description, or not on all of their partitions. */
  readonly outdated: readonly string[]
  /** The types of an entity's values. */
  readonly typesOf: (entity: string) => EntryTypes | undefined
  readonly #link: DatabaseLink
  readonly #lock: string

  private constructor(
    link: DatabaseLink,
    { place }: SessionOptions,
    found: { readonly outdated: readonly string[]; readonly types: ReadonlyMap<string, EntryTypes> },
  ) {
    this.#link = link
    this.#lock = `rtapi ${place.schema}`
    this.outdated = found.outdated
    this.typesOf = (entity) => found.types.get(entity)
  }

  /**
   * Connects, and looks whether everything is installed.
   * @throws SetupError if it is not, TypeError if the type of a column is not clear, and what `pg` throws.
   */
  static async open(options: SessionOptions): Promise<RelaySession> {
    const { connection, tables, place, clock, wake } = options
    const link = await DatabaseLink.open(connection, { clock, lost: wake })
    try {
      const { client } = link
      client.on('notification', wake)
      const status = await outboxStatus(client, tables, place)
      const isMissing = status.tables.some(({ state }) => state === 'missing' || state === 'disabled')
      if (!status.outbox || isMissing) throw new SetupError('not_installed', complaint(status, place))
      const outdated = status.tables.filter(({ state }) => state === 'outdated').map(tableName)
      const types = await entityTypes(client, tables)
      if (place.notify) await client.query(`listen ${quoted(wakeUpChannel(place))}`)
      return new RelaySession(link, options, { outdated, types })
    } catch (error) {
      await link.close()
      throw error
    }
  }

  /** Why the connection is of no use any more. */
  get failure(): Error | undefined {
    return this.#link.failure
  }

  /** Asks the database when whoever came before has been answered. */
  inTurn<T>(ask: (client: Client) => Promise<T>): Promise<T> {
    return this.#link.inTurn(ask)
  }

  /** Tries to be the one session that announces changes; that ends with the connection. */
  async lead(): Promise<boolean> {
    const { rows } = await this.inTurn((client) =>
      client.query<{ leads: boolean }>('select pg_try_advisory_lock(hashtextextended($1, 0)) as leads', [this.#lock]),
    )
    return rows[0]?.leads === true
  }

  close(): Promise<void> {
    return this.#link.close()
  }
}

function complaint({ outbox, tables }: OutboxStatus, { schema }: OutboxPlace): string {
  const advice = "run 'rtapi-postgres install', or the SQL that outboxSql makes, on this database"
  if (!outbox) return `there is no outbox in the schema '${schema}': ${advice}`
  const faults = tables.flatMap((table) =>
    table.state === 'missing' || table.state === 'disabled' ? [`${tableName(table)} (${table.state})`] : [],
  )
  return `the triggers of some tables are missing or disabled: ${faults.join(', ')}; ${advice}`
}
