import type { ClientBase } from 'pg'
import {
  type LiveTable,
  type OutboxOptions,
  type OutboxPlace,
  type TableCapture,
  captureName,
  capturesOf,
  outboxPlace,
} from './live-table.ts'
import { captureVersion, outboxName, outboxRemovalSql, outboxSql } from './outbox-sql.ts'
import { quoted } from './sql-text.ts'

/** Installs what `outboxSql` says, or brings it up to date, in one transaction. Waits at most 5 s for each table. */
export async function installOutbox(
  client: ClientBase,
  tables: readonly LiveTable[],
  options: OutboxOptions = {},
): Promise<void> {
  await inTransaction(client, options, outboxSql(tables, options))
}

/** Removes all that was installed, and what waits in the outbox, in one transaction. */
export async function removeOutbox(client: ClientBase, options: OutboxOptions = {}): Promise<void> {
  await inTransaction(client, options, outboxRemovalSql(options))
}

async function inTransaction(client: ClientBase, options: OutboxOptions, sql: string): Promise<void> {
  const { schema } = outboxPlace(options)
  try {
    await client.query('begin')
    // Nobody queues behind a table that this waits for, and two installations do not meet.
    await client.query("set local lock_timeout = '5s'")
    await client.query('select pg_advisory_xact_lock(hashtextextended($1, 1))', [`rtapi ${schema}`])
    await client.query(sql)
    await client.query('commit')
  } catch (error) {
    // The connection may be gone, and the error says why.
    await client.query('rollback').catch(() => undefined)
    throw error
  }
}

/** How a table is captured. */
export interface CaptureStatus {
  readonly schema: string
  readonly table: string
  /** `outdated`: it was installed from another description. `disabled`: somebody has switched a trigger off. */
  readonly state: 'installed' | 'missing' | 'outdated' | 'disabled'
}

/** What is installed, and what waits. */
export interface OutboxStatus {
  /** Whether there is an outbox. */
  readonly outbox: boolean
  readonly tables: readonly CaptureStatus[]
  readonly lag: OutboxLag
}

/** What has been committed and not announced. */
export interface OutboxLag {
  /** Rows of the outbox; counted up to 10,000. */
  readonly rows: number
  /** Milliseconds since the oldest of them was written, which is before its transaction was committed. 0 if there is none. */
  readonly age: number
}

/** Looks what is installed. */
export async function outboxStatus(
  client: ClientBase,
  tables: readonly LiveTable[],
  options: OutboxOptions = {},
): Promise<OutboxStatus> {
  const place = outboxPlace(options)
  const { rows } = await client.query<{ found: boolean }>('select to_regclass($1) is not null as found', [
    outboxName(place),
  ])
  const outbox = rows[0]?.found === true
  const states: CaptureStatus[] = []
  for (const capture of capturesOf(tables)) {
    const { schema, table } = capture
    states.push({ schema, table, state: await captureState(client, capture, place) })
  }
  return { outbox, tables: states, lag: outbox ? await readLag(client, place) : { rows: 0, age: 0 } }
}

/** Reads what waits. */
export async function readLag(client: ClientBase, place: OutboxPlace): Promise<OutboxLag> {
  const { rows } = await client.query<{ rows: number; age: number }>(
    `select count(*)::int as rows,
       coalesce(extract(epoch from clock_timestamp() - min(written_at)) * 1000, 0)::float8 as age
     from (select written_at from ${outboxName(place)} order by xid, id limit 10000) waiting`,
  )
  const [lag] = rows
  return lag === undefined ? { rows: 0, age: 0 } : { rows: lag.rows, age: Math.max(0, Math.round(lag.age)) }
}

async function captureState(
  client: ClientBase,
  capture: TableCapture,
  place: OutboxPlace,
): Promise<CaptureStatus['state']> {
  const { rows } = await client.query<{ version: string | null; triggers: number; enabled: number }>(
    `select obj_description(p.oid, 'pg_proc') as version, count(t.oid)::int as triggers,
       count(t.oid) filter (where t.tgenabled in ('O', 'A'))::int as enabled
     from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
     left join pg_catalog.pg_trigger t on t.tgfoid = p.oid and t.tgrelid = to_regclass($3)
     where n.nspname = $1 and p.proname = $2 group by p.oid`,
    [place.schema, captureName(capture), `${quoted(capture.schema)}.${quoted(capture.table)}`],
  )
  const [found] = rows
  if (found === undefined || found.triggers < TRIGGERS) return 'missing'
  if (found.version !== captureVersion(capture, place)) return 'outdated'
  return found.enabled < TRIGGERS ? 'disabled' : 'installed'
}

/** For insert, update, delete and truncate. */
const TRIGGERS = 4
