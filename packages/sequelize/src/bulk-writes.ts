import type { Key } from '@rtapi/core'
import { keyOfValues } from './known-values.ts'
import type { ModelClass } from './model-class.ts'
import type { ModelShape } from './model-shape.ts'
import { followsOf } from './named-cascades.ts'
import type { Told } from './row-request.ts'
import { isKeyGiven, isKeyedAlone, keysInWhere, keysOfRows, keysOfTold } from './record-keys.ts'
import { valuesInWhere } from './where-values.ts'
import { type Values, type WriteContext, affectedRows, allKnown, isFoundLoosely } from './write-context.ts'
import type { Written } from './written-rows.ts'

/** What an insert of many rows does with those which are there already. */
export interface InsertOptions {
  readonly ignoresConflicts: boolean
  /** The columns that are updated of those; none: they are not. */
  readonly updated: readonly string[]
  /** A record that has another key may be given this one. */
  readonly movesKey: boolean
  /** The database answers with the rows, if it can. */
  readonly isReturned: boolean
}

interface BulkInsert {
  readonly records: readonly Values[]
  readonly options: InsertOptions
}

/** Whether the records of an insert can be known only if the database is asked for them. */
export function asksInserted(context: WriteContext, model: ModelClass, { records, options }: BulkInsert): boolean {
  const { updated, movesKey, isReturned, ignoresConflicts } = options
  if (movesKey || (context.returnsRows && isReturned)) return false
  const shape = context.book.shapeOf(model)
  if (updated.length > 0) return !isKeyGiven(context, model, records)
  // Some of them may be left out.
  return ignoresConflicts || keysIn(shape, records).includes(undefined)
}

/**
 * What the insert of many rows has written.
 */
export function bulkInserted(
  context: WriteContext,
  model: ModelClass,
  { records, options, result, told }: BulkInsert & { readonly result: unknown; readonly told: Told },
): Written | undefined {
  if (affectedRows(result) === 0) return undefined
  const shape = context.book.shapeOf(model)
  const { ignoresConflicts, updated, movesKey } = options
  const updates = updated.length > 0
  const isReturned = context.returnsRows && options.isReturned
  const rows = isReturned && Array.isArray(result) ? (result[0] as unknown) : records
  const isCertain =
    !updates || (!movesKey && (isReturned || (isKeyedAlone(model, records) && !isFoundLoosely(shape, context))))
  const keys = isCertain && Array.isArray(rows) ? keysIn(shape, rows as readonly Values[]) : [undefined]
  // Without its row nobody knows whether a record was there before.
  const isNew = isReturned || told.isReturned === true || !ignoresConflicts
  const action = !updates && isNew ? 'create' : 'update'
  const known = keys.filter((key) => key !== undefined)
  const named = keysOfTold(shape, told.rows) ?? (known.length === keys.length ? known : undefined)
  return {
    verb: 'insert',
    shape,
    records: named?.map((key) => ({ key, action })),
    columnValues: (column) => allKnown([...records, ...toldOf(told.rows, column)].map((record) => record[column])),
    cascaded: context.book.cascades.onKeyChange(model, movesKey ? updated : withoutKey(shape, updated)),
  }
}

function keysIn(shape: ModelShape, rows: readonly Values[]): readonly (Key | undefined)[] {
  return rows.map((row) =>
    keyOfValues(
      shape,
      shape.key.map(({ column }) => row[column]),
    ),
  )
}

/** A row that is found by its key keeps it. */
export function withoutKey({ key }: ModelShape, columns: readonly string[]): readonly string[] {
  return columns.filter((column) => !key.some((field) => field.column === column))
}

/** The rows with which PostgreSQL answers an update, alone or with their number. */
function returnedBy(result: unknown): readonly unknown[] | undefined {
  if (!Array.isArray(result)) return undefined
  if (affectedRows(result) === undefined) return result as readonly unknown[]
  return Array.isArray(result[0]) ? (result[0] as readonly unknown[]) : undefined
}

/** Those of the rows that were asked for which say something of the column. */
function toldOf(rows: readonly Values[] = [], column: string): readonly Values[] {
  return rows.filter((row) => column in row)
}

/**
 * What an update by a condition has written.
 * @param write.isRelative - the values are added to those of the rows.
 */
export function bulkUpdated(
  context: WriteContext,
  model: ModelClass,
  {
    values,
    where,
    result,
    told: { rows: told, followed },
    isRelative,
  }: {
    readonly values: Values
    readonly where: unknown
    readonly result: unknown
    readonly told: Told
    readonly isRelative?: boolean
  },
): Written | undefined {
  const { book } = context
  const rows = returnedBy(result)
  if (affectedRows(result) === 0 || rows?.length === 0) return undefined
  const shape = book.shapeOf(model)
  // More than were found before it: somebody came in between.
  const found = (affectedRows(result) ?? 0) > (told?.length ?? 0) ? undefined : told
  const columnValues = (column: string) => {
    const isTold = found !== undefined && !(column in values) && found.every((row) => column in row)
    const matched = isTold ? found.map((row) => row[column]) : valuesInWhere(where, [column])?.flat()
    if (!(column in values)) return matched
    return isRelative === true ? undefined : matched && allKnown([...matched, values[column]])
  }
  const changesKey = shape.key.some(({ column }) => column in values)
  const inWhere = keysInWhere(context, shape, where)
  const keys = keysOfTold(shape, found) ?? inWhere ?? (rows && keysOfRows(shape, rows))
  const follows = followsOf(shape, followed, {
    keys: changesKey ? inWhere : keys,
    all: () => book.cascades.onKeyChange(model, Object.keys(values)),
  })
  if (!changesKey) {
    const records = keys?.map((key) => ({ key, action: 'update' as const }))
    return { verb: 'update', shape, records, columnValues, ...follows }
  }
  const [old, ...others] = inWhere ?? []
  const single = valuesInWhere(
    where,
    shape.key.map(({ column }) => column),
  )?.[0]
  const made = keyOfValues(
    shape,
    shape.key.map(({ column }, i) => (column in values ? values[column] : single?.[i])),
  )
  const isMove = old !== undefined && others.length === 0 && made !== undefined && isRelative !== true
  return {
    verb: 'update',
    shape,
    records: isMove
      ? [
          { key: old, action: 'delete' },
          { key: made, action: 'create' },
        ]
      : undefined,
    columnValues,
    ...follows,
  }
}

/**
 * What a deletion by a condition has written.
 * @param write.truncate - of the whole table, with `cascade` of all that refer to it too.
 */
export function bulkDeleted(
  context: WriteContext,
  model: ModelClass,
  {
    where,
    truncate,
    cascade,
    result,
    told: { rows: told, followed },
  }: {
    readonly where: unknown
    readonly truncate: boolean
    readonly cascade: boolean
    readonly result: unknown
    readonly told: Told
  },
): Written | undefined {
  const { book } = context
  const affected = affectedRows(result)
  if (affected === 0 && !truncate) return undefined
  const shape = book.shapeOf(model)
  const keys = truncate ? undefined : (keysOfTold(shape, told) ?? keysInWhere(context, shape, where))
  // With fewer rows than keys nobody knows which were there.
  const records = keys?.length === affected ? keys?.map((key) => ({ key, action: 'delete' as const })) : undefined
  return {
    verb: 'delete',
    shape,
    records,
    columnValues(column) {
      if (truncate) return undefined
      const isTold = told?.length === affected && told?.every((row) => column in row) === true
      return isTold ? told?.map((row) => row[column]) : valuesInWhere(where, [column])?.flat()
    },
    ...followsOf(shape, followed, {
      keys: records?.map(({ key }) => key),
      all: () => book.cascades.onDelete(model, truncate && cascade),
    }),
  }
}
