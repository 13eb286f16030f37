import {
  type LiveTable,
  type OutboxOptions,
  type OutboxPlace,
  type TableCapture,
  captureName,
  capturesOf,
  columnName,
  outboxPlace,
  shortHash,
} from './live-table.ts'
import { literal, qualified, quoted } from './sql-text.ts'

/**
 * The migration that installs the outbox and the triggers which fill it: SQL to read, to keep with your migrations, or to
 * run with `installOutbox`. Running it again changes what has changed; run it in one transaction, as a role that owns the
 * tables. Needs PostgreSQL 14.
 * @throws TypeError if a table is described in a way that cannot be.
 */
export function outboxSql(tables: readonly LiveTable[], options: OutboxOptions = {}): string {
  const place = outboxPlace(options)
  const captures = capturesOf(tables)
  const names = captures.map((capture) => literal(captureName(capture)))
  return [
    outboxTable(place),
    `-- Tables that are no longer named are no longer captured.\n${dropCaptures(place, names)}`,
    ...captures.map((capture) => captureSql(capture, place)),
    partitionTriggers(place),
  ].join('\n\n')
}

/** Removes whatever `outboxSql` has installed, with what waits in the outbox. Run it in one transaction. */
export function outboxRemovalSql(options: OutboxOptions = {}): string {
  const place = outboxPlace(options)
  return `${dropCaptures(place, [])}
drop table if exists ${outboxName(place)};
do $$ begin
  if to_regnamespace(${literal(quoted(place.schema))}) is not null then
    drop schema ${quoted(place.schema)};
  end if;
exception when dependent_objects_still_exist then
  -- Somebody else keeps something there.
  null;
end $$;
`
}

/** The table of the outbox, quoted. */
export function outboxName({ schema }: OutboxPlace): string {
  return `${quoted(schema)}.outbox`
}

/** The channel on which commits wake the source. */
export function wakeUpChannel({ schema }: OutboxPlace): string {
  // The server allows 63 bytes, and a failing NOTIFY would make the write fail.
  return Buffer.byteLength(schema) <= 50 ? `${schema}_outbox` : `rtapi_${shortHash(schema)}`
}

/** What the comment on the function of a capture says, by which its version is known. */
export function captureVersion(capture: TableCapture, place: OutboxPlace): string {
  return `rtapi ${shortHash(functionSql(capture, place))}`
}

function outboxTable(place: OutboxPlace): string {
  const schema = quoted(place.schema)
  return `create schema if not exists ${schema};
revoke all on schema ${schema} from public;

-- What committed transactions have changed and the relay has not announced yet. Rows stay for milliseconds.
create table if not exists ${outboxName(place)} (
  xid xid8 not null default pg_current_xact_id(),
  id bigint generated always as identity,
  written_at timestamptz not null default clock_timestamp(),
  entity text not null,
  action text not null check (action in ('create', 'update', 'delete', 'coarse')),
  key jsonb,
  before jsonb,
  after jsonb,
  primary key (xid, id)
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
revoke all on ${outboxName(place)} from public;${place.role === undefined ? '' : grants(place, quoted(place.role))}`
}

function grants(place: OutboxPlace, role: string): string {
  return `
grant usage on schema ${quoted(place.schema)} to ${role};
grant select, delete on ${outboxName(place)} to ${role};`
}

function dropCaptures({ schema }: OutboxPlace, keep: readonly string[]): string {
  return `do $$ declare
  capture regprocedure;
begin
  for capture in
    select p.oid from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
    where n.nspname = ${literal(schema)} and p.proname like 'capture\\_%' and obj_description(p.oid, 'pg_proc') like 'rtapi %'
      and p.proname <> all (array[${keep.join(', ')}]::name[])
  loop
    execute format('drop function %s cascade', capture);
  end loop;
end $$;`
}

/** The triggers of a capture: event, and the rows that a statement of it hands over. */
const events = [
  ['insert', ' referencing new table as new_rows'],
  ['update', ' referencing old table as old_rows new table as new_rows'],
  ['delete', ' referencing old table as old_rows'],
  ['truncate', ''],
] as const

function captureSql(capture: TableCapture, place: OutboxPlace): string {
  const name = `${quoted(place.schema)}.${quoted(captureName(capture))}`
  const triggers = events.map(
    ([event, rows]) =>
      `create or replace trigger ${quoted(triggerName(place, event))} after ${event} on ${qualified(capture)}
 ${rows} for each statement execute function ${name}();`,
  )
  return `-- ${capture.entries.map(({ entity }) => JSON.stringify(entity)).join(', ')}
${functionSql(capture, place)}
comment on function ${name}() is ${literal(captureVersion(capture, place))};
revoke all on function ${name}() from public;
${triggers.join('\n')}`
}

function triggerName({ schema }: OutboxPlace, event: string): string {
  return Buffer.byteLength(schema) <= 50 ? `${schema}_${event}` : `rtapi_${shortHash(schema)}_${event}`
}

/** Tables and the partitions of each, as SQL: pairs of `root` and `child`. */
export const PARTITIONS = `with recursive tree (root, child) as (
    select inhparent, inhrelid from pg_catalog.pg_inherits
    union select tree.root, i.inhrelid from tree join pg_catalog.pg_inherits i on i.inhparent = tree.child
  )`

/** A statement may name a partition, or a table that inherits, itself; then the triggers of the whole are silent. */
function partitionTriggers(place: OutboxPlace): string {
  const rows = events.map(([event, referencing]) =>
    [triggerName(place, event), event, referencing].map((text) => literal(text)).join(', '),
  )
  return `-- The same for partitions, since a statement may name one itself. Run this again when some were added.
do $$ declare
  copy record;
begin
  for copy in
    ${PARTITIONS}
    select e.name, e.event, e.referencing, t.tgfoid::regprocedure as capture, c.oid::regclass as partition
    from (values (${rows.join('), (')})) e (name, event, referencing)
    join pg_catalog.pg_trigger t on t.tgname = e.name
    join pg_catalog.pg_proc p on p.oid = t.tgfoid
    join pg_catalog.pg_namespace n on n.oid = p.pronamespace and n.nspname = ${literal(place.schema)}
    join tree on tree.root = t.tgrelid
    join pg_catalog.pg_class c on c.oid = tree.child and c.relkind in ('r', 'p')
    where not exists (
      select from pg_catalog.pg_trigger o where o.tgrelid = c.oid and o.tgname = e.name and o.tgfoid <> t.tgfoid
    )
  loop
    execute format('create or replace trigger %I after %s on %s %s for each statement execute function %s',
      copy.name, copy.event, copy.partition, copy.referencing, copy.capture);
  end loop;
end $$;`
}

function functionSql(capture: TableCapture, place: OutboxPlace): string {
  const body = functionBody(capture, place)
  let tag = '$rtapi$'
  for (let i = 1; body.includes(tag); i++) tag = `$rtapi${i}$`
  return `create or replace function ${quoted(place.schema)}.${quoted(captureName(capture))}() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as ${tag}
${body}
${tag};`
}

function functionBody({ entries }: TableCapture, place: OutboxPlace): string {
  const outbox = outboxName(place)
  const most = place.coarseKeys
  const statements = (write: (entry: LiveTable, outbox: string) => string) =>
    entries.map((entry) => indent(write(entry, outbox), 6)).join('\n')
  const count = (rows: string) => `(select count(*) from (select 1 from ${rows} limit ${most + 1}) r)`
  const coarse = entries.map(({ entity }) => `(${literal(entity)}, 'coarse')`)
  return `declare
  changed bigint := ${most + 1};
begin
  if tg_op = 'INSERT' then
    changed := ${count('new_rows')};
    if changed between 1 and ${most} then
${statements(insertedSql)}
    end if;
  elsif tg_op = 'UPDATE' then
    changed := ${count('old_rows')};
    if changed between 1 and ${most} then
${statements(updatedSql)}
    end if;
  elsif tg_op = 'DELETE' then
    changed := ${count('old_rows')};
    if changed between 1 and ${most} then
${statements(deletedSql)}
    end if;
  end if;
  if changed > ${most} then
    insert into ${outbox} (entity, action) values ${[...new Set(coarse)].join(', ')};
  end if;${place.notify ? `\n  if changed > 0 then perform pg_notify(${literal(wakeUpChannel(place))}, ''); end if;` : ''}
  return null;
end`
}

function insertedSql(entry: LiveTable, outbox: string): string {
  if (entry.part === true) return partSql(entry, outbox, ['new_rows'])
  return `insert into ${outbox} (entity, action, key, after)
select ${literal(entry.entity)}, 'create', ${keySql(entry)}, ${fieldsSql(entry)} from new_rows r;`
}

function deletedSql(entry: LiveTable, outbox: string): string {
  if (entry.part === true) return partSql(entry, outbox, ['old_rows'])
  return `insert into ${outbox} (entity, action, key, before)
select ${literal(entry.entity)}, 'delete', ${keySql(entry)}, ${fieldsSql(entry)} from old_rows r;`
}

/** Old and new rows meet by their keys: a key that is only old was deleted, one that is only new was created. */
function updatedSql(entry: LiveTable, outbox: string): string {
  if (entry.part === true) return partSql(entry, outbox, ['old_rows', 'new_rows'])
  const rows = (name: string) =>
    `(select ${keySql(entry)} as key, ${fieldsSql(entry)} as fields, row(r.*) as image from ${name} r)`
  return `insert into ${outbox} (entity, action, key, before, after)
select ${literal(entry.entity)},
  case when o.key is null then 'create' when n.key is null then 'delete' else 'update' end,
  coalesce(n.key, o.key), o.fields, n.fields
from ${rows('old_rows')} o
full join ${rows('new_rows')} n on n.key = o.key
where o.key is null or n.key is null or o.image operator(pg_catalog.*<>) n.image;`
}

function partSql(entry: LiveTable, outbox: string, rows: readonly string[]): string {
  const keys = rows.map((name) => `select ${keySql(entry)} as key from ${name} r`)
  return `insert into ${outbox} (entity, action, key)
select distinct ${literal(entry.entity)}, 'update', k.key from (${keys.join(' union all ')}) k;`
}

function keySql({ key }: LiveTable): string {
  return `jsonb_build_array(${key.map((column) => `r.${quoted(columnName(column))}`).join(', ')})`
}

function fieldsSql({ fields = {} }: LiveTable): string {
  const pairs = Object.entries(fields).map(([field, column]) => `${literal(field)}, r.${quoted(columnName(column))}`)
  return pairs.length === 0 ? 'null::jsonb' : `jsonb_build_object(${pairs.join(', ')})`
}

function indent(text: string, by: number): string {
  return text.replaceAll(/^/gm, ' '.repeat(by))
}
