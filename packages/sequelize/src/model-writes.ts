import { Model } from 'sequelize'
import { type InsertOptions, asksInserted, bulkDeleted, bulkInserted, bulkUpdated, withoutKey } from './bulk-writes.ts'
import { deleted, inserted, updated, upserted } from './instance-writes.ts'
import { type ModelClass, attributesOf } from './model-class.ts'
import { type Follow, followerOf } from './named-cascades.ts'
import { isKeyGiven, movesAnyKey } from './record-keys.ts'
import type { RowRequest, Told } from './row-request.ts'
import { requestOfDelete, requestOfInsert, requestOfUpdate } from './row-requests.ts'
import type { Values, WriteContext } from './write-context.ts'
import type { Written } from './written-rows.ts'

/** A write of a model that is about to be sent, which tells from the result what it has written. */
export interface ModelWrite {
  readonly model: ModelClass
  /** Of one instance: that. */
  readonly instance?: Model | undefined
  /** What to ask the database besides, to know the records; absent: nothing. */
  readonly request?: RowRequest | undefined
  /** How to find what the database will write by itself; absent: it is not to be found. */
  readonly follow?: Follow | undefined
  /** What the result says, with what else was told; `undefined`: nothing was written. */
  describe(result: unknown, told: Told): Written | undefined
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
  update(context, [instance, table, given, where]) {
    if (!(instance instanceof Model)) return undefined
    const model = classOf(instance)
    const values = valuesOf(given)
    return {
      model,
      instance,
      follow: followerOf(context, model, { table, where, changed: Object.keys(values) }),
      describe: (result, { followed }) => updated(context, instance, { values, where, result, followed }),
    }
  },
  delete(context, [instance, table, where]) {
    if (!(instance instanceof Model)) return undefined
    const model = classOf(instance)
    return {
      model,
      instance,
      follow: followerOf(context, model, { table, where }),
      describe: (_result, { followed }) => deleted(context, instance, { where, followed }),
    }
  },
  upsert(context, [table, values, updates, , options]) {
    const { model, instance, returning, conflictFields } = optionsOf(options)
    if (model === undefined) return undefined
    const isReturned = context.returnsRows && returning === true
    const records = [valuesOf(values)]
    const updated = Object.keys(valuesOf(updates))
    const movesKey = mayMoveKey(model, updated, conflictFields)
    const movesAny = movesAnyKey(context, model, { updated, records })
    const changed = movesKey || movesAny ? updated : withoutKey(context.book.shapeOf(model), updated)
    const write = { instance: isReturned ? instance : undefined, values: valuesOf(values), movesKey, changed }
    const isAsked = !movesKey && !movesAny && !isReturned && !isKeyGiven(context, model, records)
    const request = isAsked ? requestOfInsert(context, model, { table, records, conflicts: 'upsert' }) : undefined
    return {
      model,
      instance,
      request,
      describe: (result, { rows }) => upserted(context, model, { ...write, result, rows }),
    }
  },
  bulkInsert(context, [table, records, given]) {
    const { model, returning, ignoreDuplicates, updateOnDuplicate, upsertKeys } = optionsOf(given)
    if (model === undefined || !Array.isArray(records)) return undefined
    const updated = Array.isArray(updateOnDuplicate) ? (updateOnDuplicate as readonly unknown[]) : []
    const options = {
      ignoresConflicts: ignoreDuplicates === true,
      updated: updated.filter((column) => typeof column === 'string'),
      movesKey:
        mayMoveKey(model, updated, upsertKeys) ||
        movesAnyKey(context, model, { updated, records: records as readonly Values[] }),
      isReturned: returning === true,
    }
    const write = { records: records as readonly Values[], options }
    const request = asksInserted(context, model, write)
      ? requestOfInsert(context, model, { table, ...write, conflicts: conflictsOf(options) })
      : undefined
    return { model, request, describe: (result, told) => bulkInserted(context, model, { ...write, result, told }) }
  },
  bulkUpdate(context, [table, given, where, options]) {
    const { model, limit, returning } = optionsOf(options)
    if (model === undefined) return undefined
    const values = valuesOf(given)
    const isReturned = context.returnsRows && Boolean(returning)
    const request = isReturned ? undefined : requestOfUpdate(context, model, { table, values, where, limit })
    const write = { values, where }
    return {
      model,
      request,
      follow: followerOf(context, model, { table, where, changed: Object.keys(values) }),
      describe: (result, told) => bulkUpdated(context, model, { ...write, result, told }),
    }
  },
  bulkDelete(context, [table, where, options, given]) {
    const { model = given as ModelClass | undefined, truncate, cascade, limit } = optionsOf(options)
    if (model === undefined) return undefined
    const write = { where, truncate: truncate === true, cascade: cascade === true }
    const request = write.truncate ? undefined : requestOfDelete(context, model, { table, where, limit })
    const isWhole = !write.truncate && (limit ?? null) === null
    return {
      model,
      request,
      follow: isWhole ? followerOf(context, model, { table, where }) : undefined,
      describe: (result, told) => bulkDeleted(context, model, { ...write, result, told }),
    }
  },
  increment: readIncrement,
  decrement: readIncrement,
}

function readIncrement(
  context: WriteContext,
  [given, table, where, amounts, extra, options]: readonly unknown[],
): ModelWrite | undefined {
  if (typeof given !== 'function') return undefined
  const model = given as unknown as ModelClass
  const values = { ...valuesOf(amounts), ...valuesOf(extra) }
  // PostgreSQL returns the rows unless it is told not to.
  const isReturned = context.returnsRows && Boolean(optionsOf(options).returning ?? true)
  const request = isReturned ? undefined : requestOfUpdate(context, model, { table, values, where })
  // What a column comes to only the database knows.
  return {
    model,
    request,
    describe: (result, told) => bulkUpdated(context, model, { values, where, isRelative: true, result, told }),
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
  readonly limit?: unknown
}

/** Whether a row that conflicts by other columns than the key is given another key. */
function mayMoveKey(model: ModelClass, updated: readonly unknown[], conflicts: unknown): boolean {
  const key = attributesOf(model).flatMap(([, { primaryKey, field }]) => (primaryKey === true ? [field] : []))
  if (!Array.isArray(conflicts) || conflicts.length === 0 || !key.some((column) => updated.includes(column)))
    return false
  return !conflicts.every((column) => typeof column === 'string' && key.includes(column))
}

function conflictsOf({ ignoresConflicts, updated }: InsertOptions): 'fail' | 'ignore' | 'update' {
  return updated.length > 0 ? 'update' : ignoresConflicts ? 'ignore' : 'fail'
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
