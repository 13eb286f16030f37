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
import { PARTITIONS, captureVersion, outboxName } from './outbox-sql.ts'
import { qualified, quoted } from './sql-text.ts'

/** How a table is captured. */
export interface CaptureStatus {
  readonly schema: string
  readonly table: string
  /**
   * `outdated`: it was installed from another description, or partitions have been added since. `disabled`: somebody has
   * switched a trigger off.
   */
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

/** The triggers of one table, or of one of its partitions. */
interface TableTriggers {
  readonly isRoot: boolean
  readonly version: string | null
  readonly triggers: number
  readonly enabled: number
}

async function captureState(
  client: ClientBase,
  capture: TableCapture,
  place: OutboxPlace,
): Promise<CaptureStatus['state']> {
  const { rows } = await client.query<TableTriggers>(
    `${PARTITIONS}, members as (
       select to_regclass($3)::oid as oid union select child from tree where root = to_regclass($3)
     )
     select m.oid = to_regclass($3) as "isRoot", count(p.oid)::int as triggers,
       min(case when p.proname = $2 then obj_description(p.oid, 'pg_proc') end) as version,
       count(p.oid) filter (where t.tgenabled in ('O', 'A'))::int as enabled
     from members m join pg_catalog.pg_class c on c.oid = m.oid and c.relkind in ('r', 'p')
     left join pg_catalog.pg_trigger t on t.tgrelid = m.oid and not t.tgisinternal
     left join pg_catalog.pg_proc p on p.oid = t.tgfoid and p.pronamespace = to_regnamespace($1)
       and obj_description(p.oid, 'pg_proc') like 'rtapi %'
     group by m.oid`,
    [quoted(place.schema), captureName(capture), qualified(capture)],
  )
  const root = rows.find(({ isRoot }) => isRoot)
  if (root === undefined || root.triggers < TRIGGERS) return 'missing'
  if (root.version !== captureVersion(capture, place)) return 'outdated'
  if (rows.some(({ triggers }) => triggers < TRIGGERS)) return 'outdated'
  return rows.some(({ enabled }) => enabled < TRIGGERS) ? 'disabled' : 'installed'
}

/** For insert, update, delete and truncate. */
const TRIGGERS = 4
