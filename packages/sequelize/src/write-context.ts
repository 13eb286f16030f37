import type { ModelBook } from './model-book.ts'
import type { ModelShape } from './model-shape.ts'
import type { WriteText } from './write-text.ts'

/** Values by the names of the columns. */
export type Values = Readonly<Record<string, unknown>>

/** What has to be known of the database to read what it has written. */
export interface WriteContext {
  readonly book: ModelBook
  /** The database answers an insert with the rows that it has written. */
  readonly returnsRows: boolean
  /** Texts are compared by collations that take different ones for the same. */
  readonly comparesLoosely: boolean
  /** Which statements can be made to return what they have written: all of them, or those of MariaDB. */
  readonly returning: 'all' | 'mysql'
  readonly text: WriteText
  /** So many rows of a statement are named one by one; 0: no statement is asked for them. */
  readonly most: number
  /** What the database writes by its foreign keys is found before it is written. */
  readonly namesCascades: boolean
}

/** How many rows a statement has written; `undefined` if the result does not say. */
export function affectedRows(result: unknown): number | undefined {
  if (typeof result === 'number') return Number.isNaN(result) ? undefined : result
  const count: unknown = Array.isArray(result) ? result[1] : undefined
  return typeof count === 'number' ? count : undefined
}

/** The values, if each of them is known. */
export function allKnown(values: readonly unknown[]): readonly unknown[] | undefined {
  return values.every((value) => value !== undefined) ? values : undefined
}

/** Whether a condition may find a record by a key that is written otherwise, such as with another case of letters. */
export function isFoundLoosely(
  { key }: ModelShape,
  { comparesLoosely }: Pick<WriteContext, 'comparesLoosely'>,
): boolean {
  return key.some(({ type, attributeType }) => {
    if (attributeType.key === 'CITEXT') return true
    return comparesLoosely && type === 'string' && attributeType.key !== 'UUID'
  })
}
