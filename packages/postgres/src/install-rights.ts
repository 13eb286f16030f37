import type { ClientBase } from 'pg'
import { type OutboxPlace, type TableCapture, tableName } from './live-table.ts'
import { qualified, quoted } from './sql-text.ts'

/** What the role of this connection would need to install the triggers, and has not: each with the statement that gives it. */
export async function missingRights(
  client: ClientBase,
  captures: readonly TableCapture[],
  place: OutboxPlace,
): Promise<readonly string[]> {
  const schema = quoted(place.schema)
  const { rows } = await client.query<{
    database: string
    role: string
    found: boolean
    mayCreateSchema: boolean
    mayUseSchema: boolean
    ownsOutbox: boolean
  }>(
    `select current_database() as database, current_user::text as role, n.oid is not null as found,
       has_database_privilege(current_database(), 'CREATE') as "mayCreateSchema",
       coalesce(pg_has_role(n.nspowner, 'USAGE'), false) as "mayUseSchema",
       coalesce((select pg_has_role(relowner, 'USAGE') from pg_class where relnamespace = n.oid and relname = 'outbox'), true) as "ownsOutbox"
     from (select to_regnamespace($1) as oid) s left join pg_namespace n on n.oid = s.oid`,
    [schema],
  )
  const [found] = rows
  if (found === undefined) return []
  const { database, role } = found
  const to = quoted(role)
  const missing: string[] = []
  if (!found.found && !found.mayCreateSchema) {
    missing.push(`it may not create the schema ${schema} (grant create on database ${quoted(database)} to ${to})`)
  }
  if (found.found && !(found.mayUseSchema && found.ownsOutbox)) {
    missing.push(`the schema ${schema} or its outbox belongs to another role (install as that role)`)
  }
  for (const capture of captures) {
    const { rows: rights } = await client.query<{ trigger: boolean }>(
      `select has_table_privilege(to_regclass($1), 'TRIGGER') as trigger`,
      [qualified(capture)],
    )
    if (rights[0]?.trigger === true) continue
    const grant = `grant trigger on ${qualified(capture)} to ${to}`
    missing.push(`it may not create triggers on ${tableName(capture)} (${grant})`)
  }
  return missing
}
