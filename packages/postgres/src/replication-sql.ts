import { type LiveTable, capturesOf } from './live-table.ts'
import { type ReplicationOptions, type ReplicationPlace, replicationPlace } from './replication-place.ts'
import { literal, qualified, quoted } from './sql-text.ts'

/**
 * The migration that publishes the tables, for logical replication: SQL to read, to keep with your migrations, or to run
 * with `installReplication`. Run it in one transaction, as a role that owns the tables. The slot is not part of it:
 * `installReplication` makes it, or the source when it starts.
 * @throws TypeError if a table is described in a way that cannot be.
 */
export function replicationSql(tables: readonly LiveTable[], options: ReplicationOptions = {}): string {
  const { publication } = replicationPlace(options)
  const names = capturesOf(tables).map((capture) => qualified(capture))
  return `-- Which tables are read from the log. Rows of partitions come as rows of the whole.
do $$ begin
  if not exists (select from pg_catalog.pg_publication where pubname = ${literal(publication)}) then
    create publication ${quoted(publication)} with (publish_via_partition_root = true);
  end if;
end $$;
alter publication ${quoted(publication)} set table
  ${names.join(',\n  ')};
`
}

/** Removes the slot and the publication. Run it when no source is connected. */
export function replicationRemovalSql(options: ReplicationOptions = {}): string {
  const { slot, publication } = replicationPlace(options)
  return `select pg_catalog.pg_drop_replication_slot(slot_name) from pg_catalog.pg_replication_slots
  where slot_name = ${literal(slot)} and database = current_database();
drop publication if exists ${quoted(publication)};
`
}

/** The prefix of the messages in the log by which a new slot says that something may have gone by before it was there. */
export const NEW_SLOT = 'rtapi-new-slot'

/**
 * Makes the slot, in place of one that was lost. What happened before is not in it: a message that is the first to come
 * says so, and stands in the log until its announcement was taken, whoever dies meanwhile. For that no slot is there
 * without it: it is copied from one that ends with the connection, and which was made before the message.
 *
 * Each is to be run by itself: PostgreSQL fails a function or block within which a slot was made while others changed
 * tables, and leaves the slot.
 */
export function slotSql({ slot }: ReplicationPlace): {
  readonly make: readonly string[]
  readonly tidy: string
} {
  const first = `('rtapi_new_' || pg_catalog.pg_backend_pid())::name`
  return {
    make: [
      `select pg_catalog.pg_create_logical_replication_slot(${first}, 'pgoutput', true)`,
      // On the disk before there is a slot.
      `select pg_catalog.set_config('synchronous_commit', 'local', true),
         pg_catalog.pg_logical_emit_message(true, ${literal(NEW_SLOT)}, ${literal(slot)})`,
      `select pg_catalog.pg_drop_replication_slot(slot_name) from pg_catalog.pg_replication_slots
         where slot_name = ${literal(slot)} and database = current_database() and coalesce(wal_status, 'lost') = 'lost'`,
      `select pg_catalog.pg_copy_logical_replication_slot(${first}, ${literal(slot)}, false)`,
    ],
    tidy: `select pg_catalog.pg_drop_replication_slot(slot_name) from pg_catalog.pg_replication_slots
      where slot_name = ${first} and temporary`,
  }
}
