import type { ClientBase } from 'pg'
import { type LiveTable, capturesOf } from './live-table.ts'
import { type ReplicationOptions, replicationPlace } from './replication-place.ts'

/** Whether a table's changes come to the source. */
export interface PublishedTable {
  readonly schema: string
  readonly table: string
  readonly state: 'installed' | 'missing'
}

/** A replication slot, as the server has it. */
export interface SlotStatus {
  /** The database to which it belongs. */
  readonly database: string
  /** Whether a source reads from it now. */
  readonly active: boolean
  /** Bytes of the log that wait to be read, or to be acknowledged. */
  readonly lag: number
  /**
   * What the server says of the log that the slot needs: `reserved` and `extended` are well; `unreserved` is about to be
   * thrown away, since the slot is further behind than `max_slot_wal_keep_size`; `lost` is gone.
   */
  readonly log: string
  /** The place up to which everything was announced, such as `16/B374D848`. */
  readonly confirmed: string
}

/** What is installed, and what waits. */
export interface ReplicationStatus {
  readonly publication: boolean
  readonly tables: readonly PublishedTable[]
  /** `undefined` if there is none: the source makes it when it starts. */
  readonly slot: SlotStatus | undefined
}

/** Looks what is installed. */
export async function replicationStatus(
  client: ClientBase,
  tables: readonly LiveTable[],
  options: ReplicationOptions = {},
): Promise<ReplicationStatus> {
  const { slot, publication } = replicationPlace(options)
  const { rows: publications } = await client.query('select from pg_catalog.pg_publication where pubname = $1', [
    publication,
  ])
  const { rows: published } = await client.query<{ schema: string; name: string }>(
    'select schemaname::text as schema, tablename::text as name from pg_catalog.pg_publication_tables where pubname = $1',
    [publication],
  )
  return {
    publication: publications.length > 0,
    tables: capturesOf(tables).map(({ schema, table }) => ({
      schema,
      table,
      state: published.some((found) => found.schema === schema && found.name === table) ? 'installed' : 'missing',
    })),
    slot: await slotStatus(client, slot),
  }
}

/** Looks at a slot. */
export async function slotStatus(client: ClientBase, slot: string): Promise<SlotStatus | undefined> {
  const { rows } = await client.query<SlotStatus>(
    `select database::text, active, coalesce(wal_status, 'lost') as log,
       coalesce(confirmed_flush_lsn, pg_current_wal_lsn())::text as confirmed,
       greatest(0, coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn), 0))::float8 as lag
     from pg_catalog.pg_replication_slots where slot_name = $1 and plugin = 'pgoutput'`,
    [slot],
  )
  return rows[0]
}
