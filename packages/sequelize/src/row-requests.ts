import { type ModelClass, isExpression, uniqueIndexesOf } from './model-class.ts'
import type { Field, ModelShape } from './model-shape.ts'
import { keysInWhere } from './record-keys.ts'
import type { RowRequest } from './row-request.ts'
import { valuesInWhere } from './where-values.ts'
import type { Values, WriteContext } from './write-context.ts'
import type { Table } from './write-text.ts'

/** Types whose values each driver hands over as they are in rows that were not selected for the store. */
const PLAIN = /^(STRING|TEXT|CHAR|CITEXT|UUID|ENUM|TINYINT|SMALLINT|MEDIUMINT|INTEGER|BIGINT)$/

/** A write by a condition, as it is about to be sent. */
export interface ConditionalWrite {
  readonly table: Table
  readonly where: unknown
  readonly limit?: unknown
}

/** What to ask an update; `undefined` if nothing, since all is known, or nothing could be made of the answer. */
export function requestOfUpdate(
  context: WriteContext,
  model: ModelClass,
  write: ConditionalWrite & { readonly values: Values },
): RowRequest | undefined {
  const shape = context.book.shapeOf(model)
  // The old keys are not in the rows.
  if (shape.key.some(({ column }) => column in write.values)) return undefined
  const keys = keysInWhere(context, shape, write.where)
  // Of several keys not each must have been found, which is asked only where it costs nothing.
  const isKnown = keys !== undefined && (keys.length === 1 || context.returning === 'mysql')
  if (isKnown && hasKnownEnds(context, shape, write.where)) return undefined
  return requestOf(context, shape, { verb: 'update', ...write })
}

/** What to ask a deletion. */
export function requestOfDelete(
  context: WriteContext,
  model: ModelClass,
  write: ConditionalWrite,
): RowRequest | undefined {
  const shape = context.book.shapeOf(model)
  const keys = keysInWhere(context, shape, write.where)
  if (keys?.length === 1 && hasKnownEnds(context, shape, write.where)) return undefined
  return requestOf(context, shape, { verb: 'delete', ...write })
}

/** What to ask an insert of records that are not known by what they were given. */
export function requestOfInsert(
  context: WriteContext,
  model: ModelClass,
  {
    table,
    records,
    conflicts,
  }: {
    readonly table: Table
    readonly records: readonly Values[]
    /** What becomes of a record that is there already; Sequelize is told of an upsert whether it was. */
    readonly conflicts: 'fail' | 'ignore' | 'update' | 'upsert'
  },
): RowRequest | undefined {
  const { book, text, most, returning } = context
  const shape = book.shapeOf(model)
  const columns = askedColumns(context, shape)
  if (columns === undefined) return undefined
  if (returning !== 'mysql') return { columns, returning: true }
  const isGiven = (names: readonly string[]) => (record: Values) => names.every((name) => isValue(record[name]))
  const keys = shape.key.map(({ column }) => column)
  const given = records.filter(isGiven(keys)).length
  const indexes = uniqueIndexesOf(model).filter(
    ({ columns: names }) => names.length > 0 && records.some(isGiven(names)),
  )
  const [index] = indexes
  // From the rows alone can be told how many there are, and the first key that the database has made.
  const isTold =
    conflicts === 'upsert'
      ? given + indexes.length === 0
      : given === records.length || (given === 0 && conflicts !== 'update')
  const isFindable =
    index !== undefined &&
    indexes.length === 1 &&
    index.name !== '' &&
    conflicts !== 'fail' &&
    given === 0 &&
    records.length <= most &&
    records.every(isGiven(index.columns)) &&
    index.columns.every((column) => isKept(context, shape, { column, records }))
  if (!isFindable) return { columns, returning: isTold }
  const select = () => text.selectAmong(table, { model, columns, index, records, most })
  return { columns, returning: isTold, after: { select, least: records.length } }
}

function requestOf(
  context: WriteContext,
  shape: ModelShape,
  { verb, table, where, limit }: ConditionalWrite & { readonly verb: 'update' | 'delete' },
): RowRequest | undefined {
  const { text, most, returning } = context
  const columns = askedColumns(context, shape)
  if (columns === undefined || isEmpty(where)) return undefined
  const isReturned = returning !== 'mysql' || verb === 'delete'
  // Which rows a limit leaves out, and what an expression comes to, may differ from one statement to the next.
  const isSelected = returning === 'mysql' && (limit ?? null) === null && !hasExpression(where)
  if (!isReturned && !isSelected) return undefined
  return {
    columns,
    returning: isReturned,
    ...(isSelected ? { before: () => text.steadySelect(table, { columns, where, most }) } : {}),
  }
}

/** The columns that have to be known of a row: its key, and what belongs to its ends; `undefined` if they cannot be told. */
export function askedColumns({ book, most }: WriteContext, shape: ModelShape): readonly string[] | undefined {
  if (most === 0 || shape.key.length === 0 || !shape.key.every(isPlain)) return undefined
  const ends = book.endsOf(shape.model).flatMap(({ field }) => (isPlain(field) ? [field.column] : []))
  return [...new Set([...shape.key.map(({ column }) => column), ...ends])]
}

function isPlain({ attributeType, type }: Field): boolean {
  return PLAIN.test(attributeType.key) && type !== 'bytes'
}

/** Whether the condition says to which records the rows of a through table belong. */
function hasKnownEnds({ book }: WriteContext, { model }: ModelShape, where: unknown): boolean {
  return book.endsOf(model).every(({ field }) => valuesInWhere(where, [field.column]) !== undefined)
}

/** Whether the column of each record holds just what it was given, so that it is found again by that. */
function isKept(
  { book }: WriteContext,
  { fields }: ModelShape,
  { column, records }: { readonly column: string; readonly records: readonly Values[] },
): boolean {
  const field = [...fields.values()].find((one) => one.column === column)
  return field !== undefined && records.every((record) => book.isKept(field, record[column]))
}

function isValue(value: unknown): boolean {
  return value !== undefined && value !== null && !isExpression(value)
}

/** Such a condition is about the whole table. */
function isEmpty(where: unknown): boolean {
  if (typeof where !== 'object' || where === null) return true
  return !isExpression(where) && Reflect.ownKeys(where).filter((key) => key !== 'length').length === 0
}

/** Whether a condition holds SQL whose value may differ from one statement to the next. */
export function hasExpression(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  if (isExpression(value)) return true
  return Reflect.ownKeys(value).some((key) => hasExpression(Reflect.get(value, key)))
}
