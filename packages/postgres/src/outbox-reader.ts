import type { ClientBase } from 'pg'
import type { OutboxPlace } from './live-table.ts'
import { outboxName } from './outbox-sql.ts'
import type { OutboxRow } from './outbox-row.ts'

/** A row in the order of the outbox. */
export interface OutboxCursor {
  readonly xid: string
  readonly id: string
}

/** Some rows, and the oldest transaction that may still write others. */
export interface OutboxPage {
  readonly rows: readonly OutboxRow[]
  /** Every transaction before this one has ended, and what it wrote was there to be read. */
  readonly horizon: string
}

/**
 * The committed rows after the cursor, at most `limit`. Rows of one transaction become visible at once, and go away when
 * they are forgotten: so whatever is there waits to be announced, in whatever order transactions end.
 */
export async function readOutbox(
  client: ClientBase,
  place: OutboxPlace,
  { after, limit }: { readonly after: OutboxCursor; readonly limit: number },
): Promise<OutboxPage> {
  const { rows } = await client.query<OutboxRow & { readonly horizon: string; readonly xid: string | null }>(
    `select s.horizon::text as horizon, o.xid::text as xid, o.id::text as id, o.entity, o.action,
       (select json_agg(part order by n)::text from jsonb_array_elements_text(o.key) with ordinality as p (part, n)) as key,
       (select jsonb_object_agg(name, value)::text from jsonb_each_text(o.before) as f (name, value)) as before,
       (select jsonb_object_agg(name, value)::text from jsonb_each_text(o.after) as f (name, value)) as after
     from (select pg_snapshot_xmin(pg_current_snapshot()) as horizon) s
     left join lateral (
       select * from ${outboxName(place)} where (xid, id) > ($1::xid8, $2::bigint) order by xid, id limit $3
     ) o on true
     order by o.xid, o.id`,
    [after.xid, after.id, limit],
  )
  return { rows: rows.filter(({ xid }) => xid !== null), horizon: rows[0]?.horizon ?? '0' }
}

/** Rows that are deleted by one statement, so that none takes long however big a transaction was. */
const DELETED_AT_ONCE = 10_000

/**
 * Forgets transactions whose rows have all been read. If that is cut off halfway the rest is announced again, which does
 * no harm.
 */
export async function forgetTransactions(
  client: ClientBase,
  place: OutboxPlace,
  xids: readonly string[],
): Promise<void> {
  for (let deleted = DELETED_AT_ONCE; deleted === DELETED_AT_ONCE;) {
    const { rowCount } = await client.query(
      `delete from ${outboxName(place)} where ctid = any (array(
         select ctid from ${outboxName(place)} where xid = any ($1::xid8[]) limit ${DELETED_AT_ONCE}
       ))`,
      [xids],
    )
    deleted = rowCount ?? 0
  }
}
