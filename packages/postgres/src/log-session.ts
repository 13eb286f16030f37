import type { Clock } from '@rtapi/core'
import type { Client } from 'pg'
import { entityTypes } from './column-types.ts'
import { type DatabaseAddress, DatabaseLink, sqlState } from './database-link.ts'
import { type LiveTable, capturesOf, tableId, tableName } from './live-table.ts'
import { LogStream } from './log-stream.ts'
import type { LogContext, LogTransaction } from './log-transactions.ts'
import { parseLsn } from './lsn.ts'
import { PARTITIONS } from './outbox-sql.ts'
import type { ReplicationPlace } from './replication-place.ts'
import { makeSlot, requireLogicalLog } from './replication-setup.ts'
import { type SlotStatus, replicationStatus, slotStatus } from './replication-status.ts'
import { requireVersion } from './server-version.ts'
import { SetupError } from './setup-error.ts'
import { qualified } from './sql-text.ts'

/** What a session is opened with. */
export interface LogSessionOptions {
  readonly connection: DatabaseAddress
  readonly tables: readonly LiveTable[]
  readonly place: ReplicationPlace
  readonly clock: Clock
  readonly announce: (transaction: LogTransaction) => Promise<boolean>
  /** A connection was lost. */
  readonly wake: () => void
}

/** The connections of one reader of the log: one on which it looks and asks, and one on which the log comes, if it is its turn. */
export class LogSession {
  /** The slot was not there, or had been lost, and was made anew. */
  readonly isNewSlot: boolean
  readonly #options: LogSessionOptions
  readonly #link: DatabaseLink
  readonly #context: LogContext
  #stream: LogStream | undefined
  /** All transactions before this one have ended for everybody. */
  #endedBefore = 0n
  #failure: Error | undefined

  private constructor(
    options: LogSessionOptions,
    link: DatabaseLink,
    found: { readonly context: LogContext; readonly isNewSlot: boolean },
  ) {
    this.#options = options
    this.#link = link
    this.#context = found.context
    this.isNewSlot = found.isNewSlot
  }

  /**
   * Connects, looks whether everything is installed, and makes the slot if there is none.
   * @throws SetupError if something is missing, TypeError if the type of a column is not clear, and what `pg` throws.
   */
  static async open(options: LogSessionOptions): Promise<LogSession> {
    const { connection, tables, place, clock, wake } = options
    const link = await DatabaseLink.open(connection, { clock, lost: wake })
    try {
      const { client } = link
      await requireVersion(client)
      await requireLogicalLog(client)
      const status = await replicationStatus(client, tables, place)
      const absent = status.tables.filter(({ state }) => state === 'missing').map(tableName)
      if (absent.length > 0) {
        const what = `the publication '${place.publication}' does not have ${absent.join(', ')}`
        const advice = "run 'rtapi-postgres install --mode replication', or the SQL that replicationSql makes"
        throw new SetupError('not_installed', `${what}: ${advice}`)
      }
      const types = await entityTypes(client, tables)
      const isNewSlot = await makeSlot(client, place)
      const context = { ...place, tables: await tablesById(client, tables), types, xid: await nextXid(client) }
      return new LogSession(options, link, { context, isNewSlot })
    } catch (error) {
      await link.close()
      throw error
    }
  }

  /** Whether the log comes to this session. */
  get isReading(): boolean {
    return this.#stream !== undefined && this.failure === undefined
  }

  /** Why the session is of no use any more. */
  get failure(): Error | undefined {
    return this.#failure ?? this.#link.failure
  }

  /** Whether whoever reads now sees what this transaction, which stands in the log as committed, has written. */
  async isVisible(xid: string): Promise<boolean> {
    return this.#link.inTurn(async (client) => {
      if (BigInt(xid) < this.#endedBefore) return true
      const { rows } = await client.query<{ before: string; visible: boolean }>(
        `select pg_snapshot_xmin(s)::text as before, pg_visible_in_snapshot($1::xid8, s) as visible
         from pg_current_snapshot() s`,
        [xid],
      )
      this.#endedBefore = BigInt(rows[0]?.before ?? 0)
      return rows[0]?.visible === true
    })
  }

  /** How the slot stands, `undefined` if there is none. */
  status(): Promise<SlotStatus | undefined> {
    return this.#link.inTurn((client) => slotStatus(client, this.#options.place.slot))
  }

  /** Looks how the slot stands. @throws SetupError `slot_lost` if it is gone. */
  async look(): Promise<SlotStatus> {
    const { slot } = this.#options.place
    const status = await this.status()
    if (status !== undefined && status.log !== 'lost') return status
    throw new SetupError('slot_lost', `the replication slot '${slot}' is gone, and with it what had not been read`)
  }

  /** Begins to read, unless another source does. */
  read({ active, confirmed }: SlotStatus): void {
    if (this.#stream !== undefined || active) return
    const { connection, place, clock, announce, wake } = this.#options
    const stream = new LogStream({
      connection,
      place,
      context: this.#context,
      confirmed: parseLsn(confirmed),
      clock,
      announce,
      ended: (error) => {
        // Another one was quicker.
        if (sqlState(error) === OBJECT_IN_USE) this.#stream = undefined
        else this.#failure ??= error
        wake()
      },
    })
    this.#stream = stream
    void stream.run()
  }

  async close(): Promise<void> {
    await Promise.all([this.#stream?.close(), this.#link.close()])
  }
}

const OBJECT_IN_USE = '55006'

/** The tables by the ids under which their rows come: rows of tables that inherit come under their own. */
async function tablesById(client: Client, tables: readonly LiveTable[]): Promise<Map<string, readonly LiveTable[]>> {
  const found = new Map<string, readonly LiveTable[]>()
  for (const { schema, table, entries } of capturesOf(tables)) {
    const { rows } = await client.query<{ schema: string; table: string }>(
      `${PARTITIONS}
       select n.nspname::text as schema, c.relname::text as table
       from tree join pg_catalog.pg_class c on c.oid = tree.child join pg_catalog.pg_namespace n on n.oid = c.relnamespace
       where tree.root = to_regclass($1)`,
      [qualified({ schema, table })],
    )
    for (const heir of rows) if (!found.has(tableId(heir))) found.set(tableId(heir), entries)
    found.set(tableId({ schema, table }), entries)
  }
  return found
}

async function nextXid(client: Client): Promise<bigint> {
  const { rows } = await client.query<{ xid: string }>('select pg_snapshot_xmax(pg_current_snapshot())::text as xid')
  return BigInt(rows[0]?.xid ?? 0)
}
