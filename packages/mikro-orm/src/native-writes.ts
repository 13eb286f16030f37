import type { EntityMetadata } from '@mikro-orm/core'
import type { Key } from '@rtapi/core'
import type { ChangeLog, StagedWrite, UncapturedWrites } from '@rtapi/sql'
import type { EntityShape } from './entity-shape.ts'
import { type DriverResult, keyList, keyText, keysOfWhere } from './statement-keys.ts'

/** One record that a statement of the driver wrote, or what is known of several. */
export interface Unit {
  /** The keys of the records, if they are known. Asked for only at the end of the transaction. */
  readonly keys: () => readonly Key[] | undefined
  /** The statement wrote only if nobody had written the record since it was read: it asked for its version. */
  readonly checked: boolean
  /** Not even MikroORM knows the key of what it has inserted, though it believes to. */
  readonly guessed: boolean
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
    const left = this.#units.filter(({ claimed }) => !claimed)
    if (left.length === 0) return
    const keys = left.map((unit) => unit.keys())
    for (const key of keys.flatMap((known) => known ?? [])) {
      log.add({ entity, key, action: this.#verb === 'insert' ? 'create' : 'update' })
    }
    // Which records a row of a pivot table joins is not asked where it is written like this.
    if (meta.pivotTable === true) {
      for (const { targetMeta } of meta.relations) log.addCoarse(targetMeta?.root.className ?? entity)
    }
    if (keys.every((known) => known !== undefined)) return
    this.#uncaptured.count(`${this.#verb} ${meta.tableName}`, 'coarse')
    log.addCoarse(entity)
  }
}

/** Records that were made or changed by an upsert, of which events tell; if MikroORM fails before, nobody does. */
export class Upsert implements StagedWrite {
  readonly #shape: EntityShape
  readonly #uncaptured: UncapturedWrites
  /** How many events have not come. */
  remaining: number

  constructor(shape: EntityShape, count: number, uncaptured: UncapturedWrites) {
    this.#shape = shape
    this.#uncaptured = uncaptured
    this.remaining = count
  }

  addTo(log: ChangeLog): void {
    if (this.remaining <= 0) return
    const { entity, meta } = this.#shape
    this.#uncaptured.count(`upsert ${meta.tableName}`, 'coarse')
    log.addCoarse(entity)
  }
}

/** Rows that were deleted by the driver. */
export class NativeDelete implements StagedWrite {
  readonly meta: EntityMetadata
  readonly #shape: EntityShape
  readonly #uncaptured: UncapturedWrites
  readonly #dependents: readonly string[]
  readonly #affected: number | undefined
  readonly #keys: readonly Key[] | undefined
  /** Keys in the form of the statement, as text: those which nobody has announced. */
  readonly #left: Set<string> | undefined

  constructor(
    shape: EntityShape,
    where: unknown,
    result: DriverResult,
    options: {
      readonly uncaptured: UncapturedWrites
      /** Entities of which the database may have written unknown records by foreign keys. */
      readonly dependents: readonly string[]
    },
  ) {
    this.meta = shape.meta
    this.#shape = shape
    this.#uncaptured = options.uncaptured
    this.#dependents = options.dependents
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
    if (this.#affected === 0) return
    const { entity, meta } = this.#shape
    for (const child of this.#dependents) log.addCoarse(child)
    if (this.#left?.size === 0) return
    // With fewer rows than keys nobody knows which were there.
    if (this.#keys !== undefined && this.#keys.length === this.#affected) {
      for (const key of this.#keys) log.add({ entity, key, action: 'delete' })
      return
    }
    this.#uncaptured.count(`delete ${meta.tableName}`, 'coarse')
    log.addCoarse(entity)
  }
}
