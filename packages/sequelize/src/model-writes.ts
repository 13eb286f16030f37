import { Model } from 'sequelize'
import { bulkDeleted, bulkInserted, bulkUpdated } from './bulk-writes.ts'
import { deleted, inserted, updated, upserted } from './instance-writes.ts'
import { type ModelClass, attributesOf } from './model-class.ts'
import type { Values, WriteContext } from './write-context.ts'
import type { Written } from './written-rows.ts'

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
      describe: (result) => inserted(context, instance, { values: valuesOf(values), isReturned, result }),
    }
  },
  update(context, [instance, , values, where]) {
    if (!(instance instanceof Model)) return undefined
    return {
      model: classOf(instance),
      instance,
      describe: (result) => updated(context, instance, { values: valuesOf(values), where, result }),
    }
  },
  delete(context, [instance, , where]) {
    if (!(instance instanceof Model)) return undefined
    return { model: classOf(instance), instance, describe: () => deleted(context, instance, where) }
  },
  upsert(context, [, values, updates, , options]) {
    const { model, instance, returning, conflictFields } = optionsOf(options)
    if (model === undefined) return undefined
    const isReturned = context.returnsRows && returning === true
    const movesKey = mayMoveKey(model, Object.keys(valuesOf(updates)), conflictFields)
    const write = { instance: isReturned ? instance : undefined, values: valuesOf(values), movesKey }
    return { model, instance, describe: (result) => upserted(context, model, { ...write, result }) }
  },
  bulkInsert(context, [, records, given]) {
    const { model, returning, ignoreDuplicates, updateOnDuplicate, upsertKeys } = optionsOf(given)
    if (model === undefined || !Array.isArray(records)) return undefined
    const updated = Array.isArray(updateOnDuplicate) ? (updateOnDuplicate as readonly unknown[]) : []
    const options = {
      ignoresConflicts: ignoreDuplicates === true,
      updates: updated.length > 0,
      movesKey: mayMoveKey(model, updated, upsertKeys),
      isReturned: returning === true,
    }
    const rows = records as readonly Values[]
    return { model, describe: (result) => bulkInserted(context, model, { records: rows, options, result }) }
  },
  bulkUpdate(context, [, values, where, options]) {
    const { model } = optionsOf(options)
    return (
      model && { model, describe: (result) => bulkUpdated(context, model, { values: valuesOf(values), where, result }) }
    )
  },
  bulkDelete(context, [, where, options, given]) {
    const { model = given as ModelClass | undefined, truncate, cascade } = optionsOf(options)
    return (
      model && {
        model,
        describe: (result) =>
          bulkDeleted(context, model, { where, truncate: truncate === true, cascade: cascade === true, result }),
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
    describe: (result) => bulkUpdated(context, known, { values, where, isRelative: true, result }),
  }
}

interface MethodOptions {
  readonly model?: ModelClass
  readonly instance?: Model
  readonly returning?: unknown
  readonly ignoreDuplicates?: unknown
  readonly updateOnDuplicate?: unknown
  readonly upsertKeys?: unknown
  readonly conflictFields?: unknown
  readonly truncate?: unknown
  readonly cascade?: unknown
}

/** Whether a row that conflicts by other columns than the key is given another key. */
function mayMoveKey(model: ModelClass, updated: readonly unknown[], conflicts: unknown): boolean {
  const key = attributesOf(model).flatMap(([, { primaryKey, field }]) => (primaryKey === true ? [field] : []))
  if (!Array.isArray(conflicts) || conflicts.length === 0 || !key.some((column) => updated.includes(column)))
    return false
  return !conflicts.every((column) => typeof column === 'string' && key.includes(column))
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
