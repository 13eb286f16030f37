import { keyOfValues } from './known-values.ts'
import type { ModelClass } from './model-class.ts'
import { isKeyedAlone, keysInWhere, keysOfRows } from './record-keys.ts'
import { valuesInWhere } from './where-values.ts'
import { type Values, type WriteContext, affectedRows, allKnown, isFoundLoosely } from './write-context.ts'
import type { Written } from './written-rows.ts'

/** What an insert of many rows does with those which are there already. */
export interface InsertOptions {
  readonly ignoresConflicts: boolean
  readonly updates: boolean
  /** A record that has another key may be given this one. */
  readonly movesKey: boolean
  /** The database answers with the rows, if it can. */
  readonly isReturned: boolean
}

/** What the insert of many rows has written. */
export function bulkInserted(
  context: WriteContext,
  model: ModelClass,
  {
    records,
    options,
    result,
  }: { readonly records: readonly Values[]; readonly options: InsertOptions; readonly result: unknown },
): Written | undefined {
  if (affectedRows(result) === 0) return undefined
  const shape = context.book.shapeOf(model)
  const { ignoresConflicts, updates, movesKey } = options
  const isReturned = context.returnsRows && options.isReturned
  const rows = isReturned && Array.isArray(result) ? (result[0] as unknown) : records
  const isCertain =
    !updates || (!movesKey && (isReturned || (isKeyedAlone(model, records) && !isFoundLoosely(shape, context))))
  const keys =
    isCertain && Array.isArray(rows)
      ? (rows as readonly Values[]).map((row) =>
          keyOfValues(
            shape,
            shape.key.map(({ column }) => row[column]),
          ),
        )
      : [undefined]
  // Without its row nobody knows whether a record was there before.
  const action = !updates && (isReturned || !ignoresConflicts) ? 'create' : 'update'
  const known = keys.filter((key) => key !== undefined)
  return {
    verb: 'insert',
    shape,
    records: known.length === keys.length ? known.map((key) => ({ key, action })) : undefined,
    columnValues: (column) => allKnown(records.map((record) => record[column])),
  }
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
    isRelative,
  }: { readonly values: Values; readonly where: unknown; readonly result: unknown; readonly isRelative?: boolean },
): Written | undefined {
  const { book } = context
  const rows: readonly unknown[] | undefined =
    Array.isArray(result) && affectedRows(result) === undefined ? result : undefined
  if (affectedRows(result) === 0 || rows?.length === 0) return undefined
  const shape = book.shapeOf(model)
  const columnValues = (column: string) => {
    const matched = valuesInWhere(where, [column])?.flat()
    if (!(column in values)) return matched
    return isRelative === true ? undefined : matched && allKnown([...matched, values[column]])
  }
  const changesKey = shape.key.some(({ column }) => column in values)
  const keys = keysInWhere(context, shape, where) ?? (rows && keysOfRows(shape, rows))
  if (!changesKey) {
    const records = keys?.map((key) => ({ key, action: 'update' as const }))
    return { verb: 'update', shape, records, columnValues }
  }
  const [old, ...others] = keysInWhere(context, shape, where) ?? []
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
    cascaded: book.cascades.onKeyChange(model),
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
  }: { readonly where: unknown; readonly truncate: boolean; readonly cascade: boolean; readonly result: unknown },
): Written | undefined {
  const { book } = context
  const affected = affectedRows(result)
  if (affected === 0 && !truncate) return undefined
  const shape = book.shapeOf(model)
  const keys = truncate ? undefined : keysInWhere(context, shape, where)
  // With fewer rows than keys nobody knows which were there.
  const records = keys?.length === affected ? keys?.map((key) => ({ key, action: 'delete' as const })) : undefined
  return {
    verb: 'delete',
    shape,
    records,
    columnValues: (column) => (truncate ? undefined : valuesInWhere(where, [column])?.flat()),
    cascaded: book.cascades.onDelete(model, truncate && cascade),
  }
}
