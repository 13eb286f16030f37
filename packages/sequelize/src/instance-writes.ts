import type { Model } from 'sequelize'
import { keyFieldsOf, keyOfValues, knownOf } from './known-values.ts'
import { type ModelClass, isExpression } from './model-class.ts'
import type { Field, ModelShape } from './model-shape.ts'
import { type Followed, followsOf } from './named-cascades.ts'
import { heldBy, isKeyedAlone, keyInWhere, keysOfTold } from './record-keys.ts'
import { type Values, type WriteContext, affectedRows, allKnown, isFoundLoosely } from './write-context.ts'
import type { Written } from './written-rows.ts'

/** Values by columns that were sent, and the result. */
interface InstanceWrite {
  readonly values: Values
  readonly result: unknown
}

/**
 * What the insert of an instance has written.
 * @param write.isReturned - the instance holds what the database has answered.
 */
export function inserted(
  { book }: WriteContext,
  instance: Model,
  { values, isReturned, result }: InstanceWrite & { readonly isReturned: boolean },
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

/** What the update of an instance has written. */
export function updated(
  { book }: WriteContext,
  instance: Model,
  {
    values,
    where,
    result,
    followed,
  }: InstanceWrite & { readonly where: unknown; readonly followed: Followed | undefined },
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
    ...followsOf(shape, followed, {
      keys: key === undefined ? undefined : [key],
      all: () => book.cascades.onKeyChange(shape.model, Object.keys(values)),
    }),
  }
}

/** What the deletion of an instance has written; whether there was one the result does not say. */
export function deleted(
  { book }: WriteContext,
  instance: Model,
  { where, followed }: { readonly where: unknown; readonly followed: Followed | undefined },
): Written {
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
    ...followsOf(shape, followed, {
      keys: key === undefined ? undefined : [key],
      all: () => book.cascades.onDelete(model),
    }),
  }
}

/**
 * What an upsert has written.
 * @param write.instance - which holds the row that the database has answered, if it has.
 * @param write.movesKey - a record that has another key may have been given this one.
 * @param write.changed - the columns whose values may have been others.
 */
export function upserted(
  context: WriteContext,
  model: ModelClass,
  {
    instance,
    values,
    movesKey,
    changed,
    result,
    rows,
  }: InstanceWrite & {
    readonly changed: readonly string[]
    readonly instance: Model | undefined
    readonly movesKey: boolean
    readonly rows: readonly Values[] | undefined
  },
): Written {
  const shape = context.book.shapeOf(model)
  const isNew = Array.isArray(result) && result[1] === true
  const action = isNew ? 'create' : 'update'
  const isCertain =
    !movesKey && (instance !== undefined || isNew || (isKeyedAlone(model, [values]) && !isFoundLoosely(shape, context)))
  const valueOf = (field: Field) => (instance === undefined ? values[field.column] : heldBy(instance, field))
  const key = isCertain ? keyOfValues(shape, shape.key.map(valueOf)) : undefined
  // It may have found the row that was written and another that holds one of the values.
  const found = rows?.length === 1 || !isNew ? keysOfTold(shape, rows) : undefined
  const keys = key === undefined ? found : [key]
  return {
    verb: 'insert',
    shape,
    records: keys === undefined || keys.length === 0 ? undefined : keys.map((one) => ({ key: one, action })),
    cascaded: isNew ? [] : context.book.cascades.onKeyChange(model, changed),
    columnValues: (column) => allKnown([values[column], ...(rows ?? []).map((row) => row[column] ?? values[column])]),
  }
}

function classOf(instance: Model): ModelClass {
  return instance.constructor as ModelClass
}

/** What was given for a column, or else what the instance has got from the database. */
function storedIn(instance: Model, values: Values, field: Field): unknown {
  const given = values[field.column]
  return given === undefined || given === null || isExpression(given) ? heldBy(instance, field) : given
}

function fieldOfColumn(shape: ModelShape, column: string): Field | undefined {
  return [...shape.fields.values()].find((field) => field.column === column)
}
