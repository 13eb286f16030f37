import type { ClientBase } from 'pg'
import { entityTypes } from './column-types.ts'
import { missingRights } from './install-rights.ts'
import { type LiveTable, type OutboxOptions, capturesOf, outboxPlace } from './live-table.ts'
import { outboxRemovalSql, outboxSql } from './outbox-sql.ts'
import { requireVersion } from './server-version.ts'
import { SetupError } from './setup-error.ts'

/**
 * Installs what `outboxSql` says, or brings it up to date, in one transaction. Waits at most 5 s for each table.
 * @throws SetupError that names every right and every table or column that is missing, or a server that is too old.
 */
export async function installOutbox(
  client: ClientBase,
  tables: readonly LiveTable[],
  options: OutboxOptions = {},
): Promise<void> {
  const sql = outboxSql(tables, options)
  await requireVersion(client)
  await entityTypes(client, tables)
  const missing = await missingRights(client, capturesOf(tables), outboxPlace(options))
  if (missing.length > 0) throw new SetupError('missing_rights', `this role may not install: ${missing.join('; ')}`)
  await inTransaction(client, options, sql)
}

/** Removes all that was installed, and what waits in the outbox, in one transaction. */
export async function removeOutbox(client: ClientBase, options: OutboxOptions = {}): Promise<void> {
  await inTransaction(client, options, outboxRemovalSql(options))
}

async function inTransaction(client: ClientBase, options: OutboxOptions, sql: string): Promise<void> {
  const { schema } = outboxPlace(options)
  try {
    await client.query('begin')
    // Nobody queues for long behind a table that this waits for, and two installations do not meet.
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
