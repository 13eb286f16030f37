import type { Key } from '@rtapi/core'
import { Model } from 'sequelize'
import { keyOfValues } from './known-values.ts'
import { type ModelClass, uniqueColumnsOf } from './model-class.ts'
import type { Field, ModelShape } from './model-shape.ts'
import { valuesInWhere } from './where-values.ts'
import { type Values, type WriteContext, isFoundLoosely } from './write-context.ts'

/** The value of a field in the instance as it is now, without getters. */
export function heldBy(instance: Model, { name }: Field): unknown {
  return instance.getDataValue(name as never) as unknown
}

/** Of the records that a condition is about: their keys. It may hold further conditions, but no record with another key. */
export function keysInWhere(context: WriteContext, shape: ModelShape, where: unknown): readonly Key[] | undefined {
  // The record may be written with another case of letters than the condition.
  if (isFoundLoosely(shape, context)) return undefined
  const values = valuesInWhere(
    where,
    shape.key.map(({ column }) => column),
  )
  const keys = values?.map((parts) => keyOfValues(shape, parts))
  return keys?.every((key) => key !== undefined) === true ? keys : undefined
}

/** The key of one instance, as it was read from the database. */
export function keyInWhere(shape: ModelShape, where: unknown): Key | undefined {
  const values = valuesInWhere(
    where,
    shape.key.map(({ column }) => column),
  )
  return values?.length === 1 && values[0] !== undefined ? keyOfValues(shape, values[0]) : undefined
}

/** PostgreSQL hands back what an update has written, as instances or as rows. */
export function keysOfRows(shape: ModelShape, rows: readonly unknown[]): readonly Key[] | undefined {
  const keys = rows.map((row) => {
    if (row instanceof Model)
      return keyOfValues(
        shape,
        shape.key.map((field) => heldBy(row, field)),
      )
    const values = (typeof row === 'object' && row !== null ? row : {}) as Values
    return keyOfValues(
      shape,
      shape.key.map(({ name, column }) => values[name] ?? values[column]),
    )
  })
  return keys.every((key) => key !== undefined) ? keys : undefined
}

/** The keys of the rows that were asked for; `undefined` if they are not known, or one of them is none. */
export function keysOfTold(shape: ModelShape, rows: readonly Values[] | undefined): readonly Key[] | undefined {
  const keys = rows?.map((row) =>
    keyOfValues(
      shape,
      shape.key.map(({ column }) => exact(row[column])),
    ),
  )
  return keys?.every((key) => key !== undefined) === true ? keys : undefined
}

/** Drivers may hand over big integers as doubles, which cannot hold them. */
function exact(value: unknown): unknown {
  return typeof value === 'number' && !Number.isSafeInteger(value) ? undefined : value
}

/** Whether only its key can make one of the records conflict with another, as far as the model declares unique columns. */
export function isKeyedAlone(model: ModelClass, records: readonly Values[]): boolean {
  const isFree = (columns: readonly string[], record: Values): boolean =>
    columns.some((column) => column !== '' && (record[column] ?? null) === null)
  return uniqueColumnsOf(model).every((columns) => records.every((record) => isFree(columns, record)))
}

/** Whether each record was given its key, and no other row than that of the key can be the one that was written. */
export function isKeyGiven(context: WriteContext, model: ModelClass, records: readonly Values[]): boolean {
  const shape = context.book.shapeOf(model)
  if (isFoundLoosely(shape, context) || !isKeyedAlone(model, records)) return false
  return records.every((record) => {
    const values = shape.key.map(({ column }) => record[column])
    return keyOfValues(shape, values) !== undefined
  })
}

/**
 * Whether MariaDB or MySQL, which look for conflicts by each unique key, may give the key of a record to a row that
 * conflicts by another one.
 */
export function movesAnyKey(
  { book, returning }: WriteContext,
  model: ModelClass,
  { updated, records }: { readonly updated: readonly unknown[]; readonly records: readonly Values[] },
): boolean {
  if (returning !== 'mysql' || isKeyedAlone(model, records)) return false
  return book.shapeOf(model).key.some(({ column }) => updated.includes(column))
}
