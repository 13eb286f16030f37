import type { EntityMetadata } from '@mikro-orm/core'
import type { AbstractSqlPlatform } from '@mikro-orm/sql'
import { type StagedWrite, coarseWrite } from '@rtapi/sql'
import type { Dependency } from './cascades.ts'
import type { EntityBook } from './entity-book.ts'
import { recordsWrite } from './statement-outcome.ts'
import { type Query, type Selection, rowsReferencing } from './written-statement.ts'

export interface DependentsOptions {
  readonly book: EntityBook
  readonly platform: AbstractSqlPlatform
  /** Whether the records of this entity are to be named. */
  readonly isNamed: (entity: string) => boolean
  /** How many records of one relation are named at most. */
  readonly most: number
  /** The table of an entity, quoted. */
  readonly tableOf: (meta: EntityMetadata) => string
}

/**
 * Names the records that the database will delete or change by its foreign keys, before it does so. The rows which they
 * depend on must be locked: then no further record can come to depend on them. The dependents are locked too, so that
 * each is written which is named.
 */
export class Dependents {
  readonly #options: DependentsOptions

  constructor(options: DependentsOptions) {
    this.#options = options
  }

  /** Whether there is anything to name of a deletion of records of this entity. */
  has(meta: EntityMetadata): boolean {
    const { book, most } = this.#options
    return most > 0 && book.cascades.dependencies(meta).some(({ entities }) => this.#areNamed(entities))
  }

  /**
   * What goes with rows that are about to be deleted.
   * @param rows - the rows, which are locked.
   * @param query - runs a query in the transaction in which they are.
   */
  async find(
    meta: EntityMetadata,
    rows: Selection,
    query: (query: Query) => Promise<readonly Readonly<Record<string, unknown>>[]>,
    above: readonly EntityMetadata[] = [],
  ): Promise<readonly StagedWrite[]> {
    const { book, platform, tableOf } = this.#options
    const writes: StagedWrite[] = []
    for (const dependency of book.cascades.dependencies(meta)) {
      const { child, property, cascades } = dependency
      const names = this.#isKnown(dependency, [...above, meta.root]) ? book.namesOf(child) : undefined
      if (names === undefined) {
        writes.push(this.#coarse(dependency))
        continue
      }
      const reference = {
        table: tableOf(child),
        columns: property.joinColumns,
        referenced: property.referencedColumnNames,
      }
      const selection = rowsReferencing(reference, rows, platform)
      const found = await query(selection(names.columns(), this.#options.most + 1))
      const records = found.map((row) => names.ofRow(row))
      if (found.length > this.#options.most || records.includes(undefined)) {
        writes.push(this.#coarse(dependency))
        continue
      }
      writes.push(
        recordsWrite(
          records.flatMap((named) => named ?? []),
          cascades ? 'delete' : 'update',
        ),
      )
      if (cascades && found.length > 0) {
        writes.push(...(await this.find(child, selection, query, [...above, meta.root])))
      }
    }
    return writes
  }

  #isKnown({ child, entities, cascades }: Dependency, above: readonly EntityMetadata[]): boolean {
    // Entities that cascade in a circle have no end that a query could name.
    return this.#areNamed(entities) && child.schema !== '*' && !(cascades && above.includes(child.root))
  }

  #areNamed(entities: readonly string[]): boolean {
    return entities.every(this.#options.isNamed)
  }

  #coarse({ child, entities, cascades }: Dependency): StagedWrite {
    return coarseWrite(cascades ? [...entities, ...this.#options.book.cascades.onDelete(child)] : entities)
  }
}
