import { Model } from 'sequelize'
import { keyFieldsOf, keyOfValues, knownOf } from './known-values.ts'
import type { ModelBook } from './model-book.ts'
import { type ModelClass, isExpression, uniqueColumnsOf } from './model-class.ts'
import type { Field, ModelShape } from './model-shape.ts'
import { valuesInWhere } from './where-values.ts'
import type { Written } from './written-rows.ts'

/** Values by the names of the columns. */
type Values = Readonly<Record<string, unknown>>

/** What has to be known of the database to read what it has written. */
export interface WriteContext {
  readonly book: ModelBook
  /** The database answers an insert with the rows that it has written. */
  readonly returnsRows: boolean
  /** Texts are compared by collations that take different ones for the same. */
  readonly comparesLoosely: boolean
}

/** A write of a model that is about to be sent, which tells from the result what it has written. */
export interface ModelWrite {
  readonly model: ModelClass
  /** Of one instance: that. */
  readonly instance?: Model | undefined
  /** `undefined`: nothing was written. */
  describe(result: unknown): Written | undefined
}

/** Makes of the arguments of a method of `QueryInterface` what it is about to write; `undefined` if that is not known. */
type ReadArguments = (context: WriteContext, args: readonly unknown[]) => ModelWrite | undefined

/** The methods of Sequelize's `QueryInterface` by which models write. */
export const modelWrites: Readonly<Record<string, ReadArguments>> = {
  insert(context, [instance, , values, options]) {
    if (!(instance instanceof Model)) return undefined
    const isReturned = context.returnsRows && optionsOf(options).returning === true
    return {
      model: classOf(instance),
      instance,
      describe: (result) => inserted(context, instance, { values: valuesOf(values), isReturned }, result),
    }
  },
  update(context, [instance, , values, where]) {
    if (!(instance instanceof Model)) return undefined
    return {
      model: classOf(instance),
      instance,
      describe: (result) => updated(context, instance, { values: valuesOf(values), where }, result),
    }
  },
  delete(context, [instance, , where]) {
    if (!(instance instanceof Model)) return undefined
    return { model: classOf(instance), instance, describe: () => deleted(context, instance, where) }
  },
  upsert(context, [, values, , , options]) {
    const { model, instance, returning } = optionsOf(options)
    if (model === undefined) return undefined
    const isReturned = context.returnsRows && returning === true
    return {
      model,
      instance,
      describe: (result) =>
        upserted(context, model, { instance: isReturned ? instance : undefined, values: valuesOf(values) }, result),
    }
  },
  bulkInsert(context, [, records, options]) {
    const { model, ...rest } = optionsOf(options)
    if (model === undefined || !Array.isArray(records)) return undefined
    return {
      model,
      describe: (result) => bulkInserted(context, model, { records: records as readonly Values[], ...rest }, result),
    }
  },
  bulkUpdate(context, [, values, where, options]) {
    const { model } = optionsOf(options)
    return (
      model && { model, describe: (result) => bulkUpdated(context, model, { values: valuesOf(values), where }, result) }
    )
  },
  bulkDelete(context, [, where, options, given]) {
    const { model = given as ModelClass | undefined, truncate, cascade } = optionsOf(options)
    return (
      model && {
        model,
        describe: (result) =>
          bulkDeleted(context, model, { where, truncate: truncate === true, cascade: cascade === true }, result),
      }
    )
  },
  increment: readIncrement,
  decrement: readIncrement,
}

function readIncrement(
  context: WriteContext,
  [model, , where, amounts, extra]: readonly unknown[],
): ModelWrite | undefined {
  if (typeof model !== 'function') return undefined
  const values = { ...valuesOf(amounts), ...valuesOf(extra) }
  const known = model as unknown as ModelClass
  // What a column comes to only the database knows.
  return {
    model: known,
    describe: (result) => bulkUpdated(context, known, { values, where, isRelative: true }, result),
  }
}

interface MethodOptions {
  readonly model?: ModelClass
  readonly instance?: Model
  readonly returning?: unknown
  readonly ignoreDuplicates?: unknown
  readonly updateOnDuplicate?: unknown
  readonly truncate?: unknown
  readonly cascade?: unknown
}

function optionsOf(options: unknown): MethodOptions {
  return typeof options === 'object' && options !== null ? options : {}
}

function valuesOf(values: unknown): Values {
  return typeof values === 'object' && values !== null ? (values as Values) : {}
}

function classOf(instance: Model): ModelClass {
  return instance.constructor as ModelClass
}

/** How many rows a statement has written; `undefined` if the result does not say. */
function affectedRows(result: unknown): number | undefined {
  if (typeof result === 'number') return Number.isNaN(result) ? undefined : result
  const count: unknown = Array.isArray(result) ? result[1] : undefined
  return typeof count === 'number' ? count : undefined
}

/** The value of a field in the instance as it is now, without getters. */
function heldBy(instance: Model, { name }: Field): unknown {
  return instance.getDataValue(name as never) as unknown
}

/** What was given for a column, or else what the instance has got from the database. */
function storedIn(instance: Model, values: Values, field: Field): unknown {
  const given = values[field.column]
  return given === undefined || given === null || isExpression(given) ? heldBy(instance, field) : given
}

function fieldOfColumn(shape: ModelShape, column: string): Field | undefined {
  return [...shape.fields.values()].find((field) => field.column === column)
}

function allKnown(values: readonly unknown[]): readonly unknown[] | undefined {
  return values.every((value) => value !== undefined) ? values : undefined
}

function inserted(
  { book }: WriteContext,
  instance: Model,
  { values, isReturned }: { readonly values: Values; readonly isReturned: boolean },
  result: unknown,
): Written | undefined {
  // A value was taken already, and the row left out.
  if (affectedRows(result) === 0) return undefined
  const shape = book.shapeOf(classOf(instance))
  const valueOf = (field: Field) => (isReturned ? heldBy(instance, field) : storedIn(instance, values, field))
  const key = keyOfValues(shape, shape.key.map(valueOf))
  const after = knownOf(shape, (field) => {
    if (isReturned || field.attribute.primaryKey === true) return valueOf(field)
    const given = values[field.column]
    return book.isKept(field, given) ? given : undefined
  })
  return {
    verb: 'insert',
    shape,
    records: key === undefined ? undefined : [{ key, action: 'create', after }],
    columnValues(column) {
      const field = fieldOfColumn(shape, column)
      return field && allKnown([valueOf(field)])
    },
  }
}

function updated(
  { book }: WriteContext,
  instance: Model,
  { values, where }: { readonly values: Values; readonly where: unknown },
  result: unknown,
): Written | undefined {
  // Of MariaDB and MySQL: no row, or none that the values have changed.
  if (affectedRows(result) === 0) return undefined
  const shape = book.shapeOf(classOf(instance))
  const key = keyInWhere(shape, where)
  const written = knownOf(shape, (field) => {
    const value = values[field.column]
    return book.isKept(field, value) ? value : undefined
  })
  const stored = knownOf(shape, (field) => instance.previous(field.name as never) as unknown)
  const keyFields = keyFieldsOf(shape, stored)
  const before = book.isCertain(instance) ? stored : keyFields
  const unwritten = Object.entries(before).filter(([name]) => !((shape.fields.get(name)?.column ?? '') in values))
  return {
    verb: 'update',
    shape,
    records:
      key === undefined
        ? undefined
        : [{ key, action: 'update', before, after: { ...keyFields, ...Object.fromEntries(unwritten), ...written } }],
    columnValues(column) {
      const field = fieldOfColumn(shape, column)
      return field && allKnown([heldBy(instance, field), instance.previous(field.name as never)])
    },
  }
}

function deleted({ book }: WriteContext, instance: Model, where: unknown): Written {
  const model = classOf(instance)
  const shape = book.shapeOf(model)
  const key = keyInWhere(shape, where)
  const held = knownOf(shape, (field) => instance.previous(field.name as never) as unknown)
  const before = book.isCertain(instance) ? held : keyFieldsOf(shape, held)
  return {
    verb: 'delete',
    shape,
    records: key === undefined ? undefined : [{ key, action: 'delete', before }],
    columnValues(column) {
      const field = fieldOfColumn(shape, column)
      return field && allKnown([heldBy(instance, field)])
    },
    cascaded: book.cascades.onDelete(model),
  }
}

function upserted(
  { book }: WriteContext,
  model: ModelClass,
  { instance, values }: { readonly instance: Model | undefined; readonly values: Values },
  result: unknown,
): Written {
  const shape = book.shapeOf(model)
  const isNew = Array.isArray(result) && result[1] === true
  const isCertain = instance !== undefined || isNew || isKeyedAlone(model, [values])
  const valueOf = (field: Field) => (instance === undefined ? values[field.column] : heldBy(instance, field))
  const key = isCertain ? keyOfValues(shape, shape.key.map(valueOf)) : undefined
  return {
    verb: 'insert',
    shape,
    records: key === undefined ? undefined : [{ key, action: isNew ? 'create' : 'update' }],
    columnValues: (column) => allKnown([values[column]]),
  }
}

function bulkInserted(
  { book, returnsRows, comparesLoosely }: WriteContext,
  model: ModelClass,
  { records, returning, ignoreDuplicates, updateOnDuplicate }: MethodOptions & { readonly records: readonly Values[] },
  result: unknown,
): Written | undefined {
  if (affectedRows(result) === 0) return undefined
  const shape = book.shapeOf(model)
  const updates = Array.isArray(updateOnDuplicate) && updateOnDuplicate.length > 0
  const isReturned = returnsRows && returning === true
  const rows = isReturned && Array.isArray(result) ? (result[0] as unknown) : records
  const isCertain =
    isReturned || ((!updates || isKeyedAlone(model, records)) && !(comparesLoosely && updates && hasTextKey(shape)))
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
  const action = !updates && (isReturned || ignoreDuplicates !== true) ? 'create' : 'update'
  const known = keys.filter((key) => key !== undefined)
  return {
    verb: 'insert',
    shape,
    records: known.length === keys.length ? known.map((key) => ({ key, action })) : undefined,
    columnValues: (column) => allKnown(records.map((record) => record[column])),
  }
}

function bulkUpdated(
  context: WriteContext,
  model: ModelClass,
  { values, where, isRelative }: { readonly values: Values; readonly where: unknown; readonly isRelative?: boolean },
  result: unknown,
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

function bulkDeleted(
  context: WriteContext,
  model: ModelClass,
  { where, truncate, cascade }: { readonly where: unknown; readonly truncate: boolean; readonly cascade: boolean },
  result: unknown,
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

/** Of the records that a condition is about: their keys. It may hold further conditions, but no record with another key. */
function keysInWhere({ comparesLoosely }: WriteContext, shape: ModelShape, where: unknown) {
  // The record may be written with another case of letters than the condition.
  if (comparesLoosely && hasTextKey(shape)) return undefined
  const values = valuesInWhere(
    where,
    shape.key.map(({ column }) => column),
  )
  const keys = values?.map((parts) => keyOfValues(shape, parts))
  return keys?.every((key) => key !== undefined) === true ? keys : undefined
}

/** The key of one instance, as it was read from the database. */
function keyInWhere(shape: ModelShape, where: unknown) {
  const values = valuesInWhere(
    where,
    shape.key.map(({ column }) => column),
  )
  return values?.length === 1 && values[0] !== undefined ? keyOfValues(shape, values[0]) : undefined
}

/** PostgreSQL hands back what an update has written, as instances or as rows. */
function keysOfRows(shape: ModelShape, rows: readonly unknown[]) {
  const keys = rows.map((row) => {
    if (row instanceof Model)
      return keyOfValues(
        shape,
        shape.key.map((field) => heldBy(row, field)),
      )
    const values = valuesOf(row)
    return keyOfValues(
      shape,
      shape.key.map(({ name, column }) => values[name] ?? values[column]),
    )
  })
  return keys.every((key) => key !== undefined) ? keys : undefined
}

/** Whether only its key can make one of the records conflict with another, as far as the model declares unique columns. */
function isKeyedAlone(model: ModelClass, records: readonly Values[]): boolean {
  const isFree = (columns: readonly string[], record: Values): boolean =>
    columns.some((column) => column !== '' && (record[column] ?? null) === null)
  return uniqueColumnsOf(model).every((columns) => records.every((record) => isFree(columns, record)))
}

/** Whether texts are part of the key; those of UUIDs are compared exactly. */
function hasTextKey({ key }: ModelShape): boolean {
  return key.some(({ type, attributeType }) => type === 'string' && attributeType.key !== 'UUID')
}
