import { type Key, keyId } from '@rtapi/core'
import type { RecordWrite } from '@rtapi/sql'
import { type ForeignKey, isCascade, keyColumnsOf } from './cascades.ts'
import type { Sent } from './drivers/driver.ts'
import { keyOfValues } from './known-values.ts'
import { type ModelClass, tableOf } from './model-class.ts'
import type { ModelShape } from './model-shape.ts'
import { keysOfTold } from './record-keys.ts'
import { askedColumns, hasExpression } from './row-requests.ts'
import type { Values, WriteContext } from './write-context.ts'
import type { Table } from './write-text.ts'
import type { Written } from './written-rows.ts'

/** Rows which the database writes by itself with others. */
export interface Followed {
  /** The rows from which they were found. */
  readonly roots: readonly Values[]
  readonly written: readonly Written[]
}

/** Selects rows under a lock; `undefined` if they are too many, or cannot be told. */
type Select = (sent: Sent) => Promise<readonly (readonly unknown[])[] | undefined>

/** Finds, before a statement and in its transaction, what the database will write with it; `undefined` if that is not certain. */
export type Follow = (select: Select) => Promise<Followed | undefined>

/** The rows of a model which a statement is about to delete, or whose columns it is about to change. */
export interface Following {
  readonly table: Table
  readonly where: unknown
  /** The columns that are changed; absent: the rows are deleted. */
  readonly changed?: readonly string[]
}

/**
 * How to find the rows that the database will delete or change by its foreign keys together with those of a statement.
 * Whoever wants to refer to a row must wait while it is locked: so the rows are locked first, then those which refer to
 * them, and so on.
 */
export function followerOf(context: WriteContext, model: ModelClass, following: Following): Follow | undefined {
  const { table, where, changed } = following
  const { cascades } = context.book
  const keys =
    changed === undefined ? cascades.keysFollowingDelete(model) : cascades.keysFollowingChange(model, changed)
  if (!context.namesCascades || context.most === 0 || keys.length === 0 || hasExpression(where)) return undefined
  return async (select) => {
    if (context.text.locksByWriting) await select(context.text.lockingWrite(table))
    const walk = new Walk(context, select)
    const roots = await walk.select(model, table, { keys, condition: context.text.condition(where, model) })
    if (roots === undefined || roots.length === 0) return undefined
    const isWhole = await walk.follow(model, { rows: roots, keys, isDeleted: changed === undefined })
    return isWhole ? { roots, written: walk.written } : undefined
  }
}

/**
 * What the database has written with these records: by their rows, if those which were written are among those which were
 * looked at; else all that it may have written.
 */
export function followsOf(
  shape: ModelShape,
  followed: Followed | undefined,
  { keys, all }: { readonly keys: readonly Key[] | undefined; readonly all: () => readonly ModelClass[] },
): Pick<Written, 'followed' | 'cascaded'> {
  const roots = new Set(keysOfTold(shape, followed?.roots)?.map((key) => keyId(key)))
  const isCovered = followed !== undefined && keys?.every((key) => roots.has(keyId(key))) === true
  return isCovered ? { followed: followed.written } : { cascaded: all() }
}

class Walk {
  readonly written: Written[] = []
  readonly #context: WriteContext
  readonly #select: Select
  readonly #seen = new Set<string>()
  #count = 0

  constructor(context: WriteContext, select: Select) {
    this.#context = context
    this.#select = select
  }

  /** The rows of a table under a condition, with their keys and what the foreign keys refer to. */
  async select(
    model: ModelClass,
    table: Table,
    { keys, condition }: { readonly keys: readonly ForeignKey[]; readonly condition: string },
  ): Promise<readonly Values[] | undefined> {
    const { text, most, book } = this.#context
    const asked = askedColumns(this.#context, book.shapeOf(model))
    if (asked === undefined) return undefined
    const targets = keys.flatMap(({ target }) => (target === undefined ? keyColumnsOf(model) : [target]))
    const columns = [...new Set([...asked, ...targets])]
    const rows = await this.#select(text.lockingSelect(table, { columns, condition, most }))
    this.#count += rows?.length ?? 0
    if (rows === undefined || this.#count > most) return undefined
    return rows.map((row) => Object.fromEntries(columns.map((column, i) => [column, row[i]])))
  }

  /** Finds all that follows these rows; answers whether that is certain. */
  async follow(
    model: ModelClass,
    {
      rows,
      keys,
      isDeleted,
    }: { readonly rows: readonly Values[]; readonly keys: readonly ForeignKey[]; readonly isDeleted: boolean },
  ): Promise<boolean> {
    for (const key of keys) {
      const target = key.target ?? (keyColumnsOf(model).length === 1 ? keyColumnsOf(model)[0] : undefined)
      const values = rows
        .map((row) => (target === undefined ? undefined : row[target]))
        .filter((value) => value !== null)
      // A changed value may be part of a key, or be referred to itself.
      if (!values.every(isScalar) || (!isDeleted && key.isKey)) return false
      if (values.length > 0 && !(await this.#followKey(key, { values, isDeleted }))) return false
    }
    return true
  }

  async #followKey(
    key: ForeignKey,
    { values, isDeleted }: { readonly values: readonly unknown[]; readonly isDeleted: boolean },
  ): Promise<boolean> {
    const { book, text } = this.#context
    const { child, column } = key
    const goes = isDeleted && isCascade(key.onDelete)
    const next = goes ? book.cascades.keysFollowingDelete(child) : book.cascades.keysFollowingChange(child, [column])
    // What is let go of, or follows a change, and is referred to by that very column is rare enough.
    if (!goes && (next.length > 0 || key.isKey)) return false
    const condition = text.condition({ [column]: values }, child)
    const found = await this.select(child, tableOf(child), { keys: next, condition })
    const rows = found?.filter((row) => this.#isNew(child, row, goes))
    if (rows === undefined || !this.#add(child, rows, goes ? 'delete' : 'update')) return false
    return goes ? this.follow(child, { rows, keys: next, isDeleted: true }) : true
  }

  #add(model: ModelClass, rows: readonly Values[], action: RecordWrite['action']): boolean {
    const shape = this.#context.book.shapeOf(model)
    const keys = keysOfTold(shape, rows)
    if (keys === undefined) return false
    this.written.push({
      verb: action === 'delete' ? 'delete' : 'update',
      shape,
      records: keys.map((key) => ({ key, action })),
      columnValues: (column) => (rows.every((row) => column in row) ? rows.map((row) => row[column]) : undefined),
    })
    return true
  }

  #isNew(model: ModelClass, row: Values, goes: boolean): boolean {
    const shape = this.#context.book.shapeOf(model)
    const key = keyOfValues(
      shape,
      shape.key.map(({ column }) => row[column]),
    )
    const id = JSON.stringify([model.name, goes, key])
    if (this.#seen.has(id)) return false
    this.#seen.add(id)
    return true
  }
}

function isScalar(value: unknown): boolean {
  return typeof value === 'string' || typeof value === 'bigint' || Number.isSafeInteger(value)
}
