import { type RecordWrite, type StagedWrite, type UncapturedWrites, coarseWrite } from '@rtapi/sql'
import type { EntityBook } from './entity-book.ts'
import type { NamedRecord } from './row-names.ts'
import type { WrittenStatement } from './written-statement.ts'

type Named = readonly NamedRecord[]

/** What a statement has written, as far as it is known by its rows. */
export interface StatementOutcome {
  /** How many rows it has written. */
  readonly affected: number
  /** The records of each row as they were named before, or by an insert are named now; `undefined` if that is not certain. */
  readonly rows: readonly (Named | undefined)[] | undefined
  /** Where the statement has changed keys: the records of each of these rows now. */
  readonly moved?: readonly (Named | undefined)[]
  /** What the database has written by foreign keys, if that is known. */
  readonly dependents?: readonly StagedWrite[]
}

/** Tells of the records of a statement; of all records of its entities where it cannot name them. */
export function outcomeWrite(
  { verb, meta, conflicts }: WrittenStatement,
  { affected, rows, moved, dependents }: StatementOutcome,
  options: { readonly book: EntityBook; readonly uncaptured: UncapturedWrites; readonly most: number },
): StagedWrite | undefined {
  if (affected === 0) return undefined
  const { book, uncaptured, most } = options
  const writes: StagedWrite[] = [...(dependents ?? [])]
  if (dependents === undefined && verb === 'delete') writes.push(coarseWrite(book.cascades.onDelete(meta)))
  if (moved !== undefined) writes.push(coarseWrite(book.cascades.onKeyChange(meta)))
  const named = rows !== undefined && rows.length <= most ? allOf(rows) : undefined
  const after = moved === undefined ? undefined : allOf(moved)
  if (named === undefined || (moved !== undefined && after === undefined)) {
    const table = meta.tableName.toLowerCase()
    writes.push(coarseWrite(book.entitiesOf(table, verb)), {
      addTo: () => uncaptured.count(`${verb} ${table}`, 'coarse'),
    })
  } else if (after === undefined) {
    const action = verb === 'delete' ? 'delete' : verb === 'insert' && conflicts.length === 0 ? 'create' : 'update'
    writes.push(recordsWrite(named.flat(), action))
  } else {
    const changes = named.map((before, i) => moveOf(before, after[i] ?? []))
    writes.push({ addTo: (log) => changes.flat().forEach((write) => log.add(write)) })
  }
  return {
    addTo(log) {
      for (const write of writes) write.addTo(log)
    },
  }
}

/** Rows that were written: their own records with this action, and those which they join as updates. */
export function recordsWrite(records: Named, action: RecordWrite['action']): StagedWrite {
  return {
    addTo(log) {
      for (const { entity, key, own } of records) log.add({ entity, key, action: own ? action : 'update' })
    },
  }
}

/** A row whose key was changed, or which now joins other records. */
function moveOf(before: Named, after: Named): readonly RecordWrite[] {
  const isSame = (one: NamedRecord): boolean =>
    before.some((other) => other.own && JSON.stringify(other.key) === JSON.stringify(one.key))
  const stays = after.every((one) => !one.own || isSame(one))
  const write = ({ entity, key, own }: NamedRecord, action: RecordWrite['action']): RecordWrite => ({
    entity,
    key,
    action: own && !stays ? action : 'update',
  })
  return [...before.map((one) => write(one, 'delete')), ...after.map((one) => write(one, 'create'))]
}

function allOf(rows: readonly (Named | undefined)[]): readonly Named[] | undefined {
  return rows.every((row) => row !== undefined) ? rows : undefined
}
