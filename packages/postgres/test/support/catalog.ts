import type { Client } from 'pg'

/** What stands in the catalogs of a database, apart from what comes with the server and from bookkeeping. */
export async function catalogOf(client: Client): Promise<readonly string[]> {
  const { rows } = await client.query<{ line: string }>(`
    select 'schema ' || nspname || ' ' || coalesce(nspacl::text, '') as line from pg_namespace
      where nspname !~ '^pg_(toast_)?temp'
    union all select 'relation ' || oid::regclass::text || ' ' || relkind::text || ' ' || coalesce(relacl::text, '') || relreplident::text || coalesce(reloptions::text, '') from pg_class
      where relnamespace::regnamespace::text !~ '^(pg_|information_schema)'
    union all select 'function ' || md5(pg_get_functiondef(oid)) || oid::regprocedure::text || coalesce(proacl::text, '') || coalesce(obj_description(oid, 'pg_proc'), '') from pg_proc
      where pronamespace::regnamespace::text !~ '^(pg_|information_schema)'
    union all select 'trigger ' || pg_get_triggerdef(oid) || tgenabled::text from pg_trigger where not tgisinternal
    union all select 'type ' || oid::regtype::text from pg_type where typnamespace::regnamespace::text !~ '^(pg_|information_schema)'
    union all select 'publication ' || pubname from pg_publication
    union all select 'published ' || prrelid::regclass::text from pg_publication_rel
    union all select 'slot ' || slot_name from pg_replication_slots where database = current_database()
    order by 1`)
  return rows.map(({ line }) => line)
}
