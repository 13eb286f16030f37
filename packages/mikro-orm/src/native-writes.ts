import type { EntityMetadata } from '@mikro-orm/core'
import type { Key } from '@rtapi/core'
import type { ChangeLog, StagedWrite, UncapturedWrites } from '@rtapi/sql'
import type { EntityBook } from './entity-book.ts'
import type { EntityShape } from './entity-shape.ts'
import { type DriverResult, keyList, keyText, keysOfWhere } from './statement-keys.ts'

/** One record that a statement of the driver wrote, or what is known of several. */
export interface Unit {
  /** The keys of the records, if they are known. Asked for only at the end of the transaction. */
  readonly keys: () => readonly Key[] | undefined
  /** The statement wrote only if nobody had written the record since it was read: it asked for its version. */
  readonly checked: boolean
  /** The unit of work has announced it. */
  claimed: boolean
}

/** Rows that were inserted or updated by the driver. */
export class NativeUnits implements StagedWrite {
  readonly #verb: 'insert' | 'update'
  readonly #shape: EntityShape
  readonly #units: readonly Unit[]
  readonly #uncaptured: UncapturedWrites

  constructor(verb: 'insert' | 'update', shape: EntityShape, units: readonly Unit[], uncaptured: UncapturedWrites) {
    this.#verb = verb
    this.#shape = shape
    this.#units = units
    this.#uncaptured = uncaptured
  }

  addTo(log: ChangeLog): void {
    const { entity, meta } = this.#shape
    const keys = this.#units.flatMap((unit) => (unit.claimed ? [] : [unit.keys()]))
    for (const key of keys.flatMap((known) => known ?? [])) {
      log.add({ entity, key, action: this.#verb === 'insert' ? 'create' : 'update' })
    }
    if (keys.every((known) => known !== undefined)) return
    this.#uncaptured.count(`${this.#verb} ${meta.tableName}`, 'coarse')
    log.addCoarse(entity)
  }
}

/** Rows that were deleted by the driver. */
export class NativeDelete implements StagedWrite {
  readonly meta: EntityMetadata
  readonly #book: EntityBook
  readonly #shape: EntityShape
  readonly #uncaptured: UncapturedWrites
  readonly #affected: number | undefined
  readonly #keys: readonly Key[] | undefined
  /** Keys in the form of the statement, as text: those which nobody has announced. */
  readonly #left: Set<string> | undefined

  constructor(
    book: EntityBook,
    shape: EntityShape,
    where: unknown,
    result: DriverResult,
    uncaptured: UncapturedWrites,
  ) {
    this.meta = shape.meta
    this.#book = book
    this.#shape = shape
    this.#uncaptured = uncaptured
    this.#affected = result.affectedRows
    this.#keys = keysOfWhere(shape, where)
    const given = keyList(shape.meta, where)
    this.#left = given === undefined ? undefined : new Set(given.map(keyText))
  }

  /** The unit of work announces the deletion of this key itself; answers whether it was among these. */
  claim(key: unknown): boolean {
    return this.#left?.delete(keyText(key)) === true
  }

  addTo(log: ChangeLog): void {
    if (this.#left?.size === 0 || this.#affected === 0) return
    const { entity, meta } = this.#shape
    for (const child of this.#book.cascades.onDelete(meta)) log.addCoarse(child)
    // With fewer rows than keys nobody knows which were there.
    if (this.#keys !== undefined && this.#keys.length === this.#affected) {
      for (const key of this.#keys) log.add({ entity, key, action: 'delete' })
      return
    }
    this.#uncaptured.count(`delete ${meta.tableName}`, 'coarse')
    log.addCoarse(entity)
  }
}
