import type { ChangeLog, RecordWrite, StagedWrite, UncapturedWrites } from '@rtapi/sql'
import { keyOfValues } from './known-values.ts'
import type { ModelClass } from './model-class.ts'
import type { ModelShape } from './model-shape.ts'
import { type WriteContext, isFoundLoosely } from './write-context.ts'

/** What is known of the rows that a statement has written. */
export interface Written {
  readonly verb: 'insert' | 'update' | 'delete'
  readonly shape: ModelShape
  /** The records, if they are known. */
  readonly records: readonly Omit<RecordWrite, 'entity'>[] | undefined
  /** Of a through table: what its rows hold in a column, before or after; `undefined` if that is not known. */
  readonly columnValues: (column: string) => readonly unknown[] | undefined
  /** Models of which the database may have written rows by itself. */
  readonly cascaded?: readonly ModelClass[]
  /** The rows that the database has written by itself, where they are known. */
  readonly followed?: readonly Written[]
}

/**
 * Rows that a statement has written. Where the records are not known, all of their entity may have changed. Rows of a
 * through table are changes of the records on both of its sides too.
 */
export class WrittenRows implements StagedWrite {
  readonly #written: Written
  readonly #uncaptured: UncapturedWrites
  readonly #ends: readonly RecordWrite[]
  readonly #coarse: readonly string[]
  readonly #followed: readonly WrittenRows[]

  constructor(written: Written, context: WriteContext, uncaptured: UncapturedWrites) {
    const { book } = context
    const { shape, records, cascaded = [], followed = [], columnValues } = written
    const ends: RecordWrite[] = []
    const coarse = new Set(book.entitiesOf(cascaded))
    for (const { entity, field, shape: target } of book.endsOf(shape.model)) {
      const isKnown = target !== undefined && !isFoundLoosely(target, context)
      const keys = isKnown ? columnValues(field.column)?.map((value) => keyOfValues(target, [value])) : undefined
      if (keys?.every((key) => key !== undefined) === true) {
        for (const key of new Set(keys)) ends.push({ entity, key, action: 'update' })
      } else {
        coarse.add(entity)
      }
    }
    if (records === undefined) coarse.add(shape.entity)
    this.#written = written
    this.#uncaptured = uncaptured
    this.#ends = ends
    this.#coarse = [...coarse]
    this.#followed = followed.map((one) => new WrittenRows(one, context, uncaptured))
  }

  addTo(log: ChangeLog): void {
    const { verb, shape, records } = this.#written
    if (records?.length === 0) return
    if (records === undefined) this.#uncaptured.count(`${verb} ${shape.entity}`, 'coarse')
    for (const entity of this.#coarse) log.addCoarse(entity)
    // The deepest first: what is deleted may be an end of rows that go with it.
    for (const one of this.#followed.toReversed()) one.addTo(log)
    for (const record of records ?? []) log.add({ ...record, entity: shape.entity })
    for (const end of this.#ends) log.add(end)
  }
}
