import type { ClientBase } from 'pg'
import { entityTypes } from './column-types.ts'
import { sqlState } from './database-link.ts'
import { type LiveTable, type TableCapture, capturesOf, tableName } from './live-table.ts'
import { type ReplicationOptions, type ReplicationPlace, replicationPlace } from './replication-place.ts'
import { replicationRemovalSql, replicationSql, slotSql } from './replication-sql.ts'
import { slotStatus } from './replication-status.ts'
import { requireVersion } from './server-version.ts'
import { SetupError } from './setup-error.ts'
import { qualified, quoted } from './sql-text.ts'

/**
 * Publishes the tables, in one transaction, and makes the slot if it is not there. From then on the server keeps what has
 * not been read.
 * @throws SetupError that names every right and every table or column that is missing, or what the server cannot do.
 */
export async function installReplication(
  client: ClientBase,
  tables: readonly LiveTable[],
  options: ReplicationOptions = {},
): Promise<void> {
  const place = replicationPlace(options)
  const sql = replicationSql(tables, options)
  await requireVersion(client)
  await requireLogicalLog(client)
  await entityTypes(client, tables)
  const captures = capturesOf(tables)
  const missing = await missingRights(client, captures, place)
  if (missing.length > 0) throw new SetupError('missing_rights', `this role may not install: ${missing.join('; ')}`)
  await requireIdentities(client, captures)
  await inTransaction(client, sql)
  await makeSlot(client, place)
}

/** Removes the slot and the publication. Fails while a source is connected. */
export async function removeReplication(client: ClientBase, options: ReplicationOptions = {}): Promise<void> {
  await client.query(replicationRemovalSql(options))
}

/**
 * Makes the slot unless a good one is there. Answers whether it did.
 * @throws SetupError `unsupported` if another database has a slot of that name.
 */
export async function makeSlot(client: ClientBase, place: ReplicationPlace): Promise<boolean> {
  const found = await slotStatus(client, place.slot)
  const { rows } = await client.query<{ name: string }>('select current_database()::text as name')
  if (found !== undefined && found.database !== rows[0]?.name) {
    throw new SetupError(
      'unsupported',
      `the slot '${place.slot}' belongs to the database '${found.database}', and slots are of the whole server: name another`,
    )
  }
  if (found !== undefined && found.log !== 'lost') return false
  const { make, tidy } = slotSql(place)
  try {
    for (const sql of make) await client.query(sql)
    return true
  } catch (error) {
    // Another one was quicker.
    if (sqlState(error) === DUPLICATE_OBJECT && (await slotStatus(client, place.slot)) !== undefined) return false
    throw error
  } finally {
    // Else it goes with the connection.
    await client.query(tidy).catch(() => undefined)
  }
}

const DUPLICATE_OBJECT = '42710'

/** @throws SetupError `unsupported` if the log does not hold what is needed. */
export async function requireLogicalLog(client: ClientBase): Promise<void> {
  const { rows } = await client.query<{ level: string }>("select current_setting('wal_level') as level")
  const level = rows[0]?.level
  if (level === 'logical') return
  throw new SetupError('unsupported', `wal_level is '${level}': set it to 'logical' and restart the server`)
}

async function missingRights(
  client: ClientBase,
  captures: readonly TableCapture[],
  { publication }: ReplicationPlace,
): Promise<readonly string[]> {
  const { rows } = await client.query<{
    database: string
    role: string
    mayCreate: boolean
    mayReplicate: boolean
    mayChange: boolean
  }>(
    // Amazon gives the right to replicate by a role.
    `select current_database()::text as database, current_user::text as role,
       has_database_privilege(current_database(), 'CREATE') as "mayCreate",
       r.rolsuper or r.rolreplication or exists (
         select from pg_roles where rolname = 'rds_replication' and pg_has_role(oid, 'USAGE')) as "mayReplicate",
       coalesce((select pg_has_role(pubowner, 'USAGE') from pg_publication where pubname = $1), true) as "mayChange"
     from pg_roles r where rolname = current_user`,
    [publication],
  )
  const [found] = rows
  if (found === undefined) return []
  const role = quoted(found.role)
  const missing: string[] = []
  if (!found.mayReplicate) missing.push(`it may not replicate (alter role ${role} replication)`)
  if (!found.mayCreate) {
    missing.push(`it may not create a publication (grant create on database ${quoted(found.database)} to ${role})`)
  }
  if (!found.mayChange) missing.push(`the publication '${publication}' belongs to another role (install as that role)`)
  for (const capture of captures) {
    const { rows: owners } = await client.query<{ owns: boolean }>(
      `select pg_has_role(relowner, 'USAGE') as owns from pg_class where oid = to_regclass($1)`,
      [qualified(capture)],
    )
    if (owners[0]?.owns !== true) missing.push(`it does not own ${tableName(capture)} (install as its owner)`)
  }
  return missing
}

/** Updates of a table that is published and has no identity fail, whoever makes them. */
async function requireIdentities(client: ClientBase, captures: readonly TableCapture[]): Promise<void> {
  for (const capture of captures) {
    const { rows } = await client.query<{ identified: boolean }>(
      `select case relreplident when 'd' then exists (select from pg_index where indrelid = c.oid and indisprimary)
         else relreplident <> 'n' end as identified
       from pg_class c where oid = to_regclass($1)`,
      [qualified(capture)],
    )
    if (rows[0]?.identified === true) continue
    throw new SetupError(
      'wrong_table',
      `${tableName(capture)} has no replica identity, so that its updates would fail: give it a primary key, or ` +
        `alter table ${qualified(capture)} replica identity full`,
    )
  }
}

async function inTransaction(client: ClientBase, sql: string): Promise<void> {
  try {
    await client.query("begin; set local lock_timeout = '5s'")
    await client.query(sql)
    await client.query('commit')
  } catch (error) {
    // The connection may be gone, and the error says why.
    await client.query('rollback').catch(() => undefined)
    throw error
  }
}
