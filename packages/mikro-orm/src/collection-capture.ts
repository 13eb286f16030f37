import { type Collection, type EntityProperty, ReferenceKind } from '@mikro-orm/core'
import type { AbstractSqlDriver } from '@mikro-orm/sql'
import { coarseWrite, recordWrite } from '@rtapi/sql'
import type { EntityBook } from './entity-book.ts'
import type { NativeCapture } from './native-capture.ts'
import { keyOfKnown } from './record.ts'
import { isMadePivot } from './row-names.ts'
import type { ContextStaging, TransactionContext } from './context-staging.ts'

/** What a flush changes of a collection. */
interface CollectionChange {
  /** Records on either side whose relation changes. */
  readonly entities: readonly object[]
  /** Records change of which only the database knows. */
  readonly unknown: boolean
}

/**
 * Stages what the unit of work writes of collections, of which no event tells. The driver is handed them within the
 * transaction of the flush, while they still know what they held before.
 */
export class CollectionCapture {
  readonly #staged: ContextStaging
  readonly #book: EntityBook
  readonly #native: NativeCapture

  constructor(staged: ContextStaging, book: EntityBook, native: NativeCapture) {
    this.#staged = staged
    this.#book = book
    this.#native = native
  }

  /** Wraps the method of the driver; returns the undo. */
  attach(driver: AbstractSqlDriver): () => void {
    const sync = driver.syncCollections.bind(driver)
    driver.syncCollections = async (collections, options) => {
      const all = [...collections] as Collection<object>[]
      if (all.length === 0) return sync(all, options)
      const changes = all.map((collection) => changeOf(collection))
      const unknown = all.filter((_, i) => changes[i]?.unknown === true)
      // The rows of a pivot entity of the application's own are records themselves.
      const named = all.filter((collection) => unknown.includes(collection) || this.#hasOwnPivot(collection.property))
      await this.#native.collecting(async () => sync(all, options), { names: named.length > 0 })
      const coarse = named.flatMap(({ property }) => this.#unnamedOf(property))
      await this.#staged.guard(() => this.#stage(options?.ctx as TransactionContext | undefined, changes, coarse))
    }
    return () => void Reflect.deleteProperty(driver, 'syncCollections')
  }

  #hasOwnPivot({ kind, pivotEntity }: EntityProperty): boolean {
    if (kind !== ReferenceKind.MANY_TO_MANY || pivotEntity === undefined) return false
    return !isMadePivot(this.#book.metaOfClass(pivotEntity))
  }

  /** The entities of which an unknown collection changes records that the statement cannot name. */
  #unnamedOf({ kind, targetMeta, pivotEntity }: EntityProperty): readonly string[] {
    const isPivot = kind === ReferenceKind.MANY_TO_MANY && pivotEntity !== undefined
    const meta = isPivot ? this.#book.metaOfClass(pivotEntity) : targetMeta
    if (meta === undefined || this.#book.namesOf(meta) !== undefined) return []
    return this.#book.entitiesOf(meta.tableName.toLowerCase(), 'update')
  }

  async #stage(
    context: TransactionContext | undefined,
    changes: readonly CollectionChange[],
    coarse: readonly string[],
  ): Promise<void> {
    for (const entity of new Set(changes.flatMap(({ entities }) => entities))) {
      const shape = this.#book.shapeOf(this.#book.metaOf(entity))
      const key = keyOfKnown(shape, this.#book.stored(shape, entity))
      const { entity: name } = shape
      // The columns of the record are what they were, whatever that is.
      const write = key === undefined ? coarseWrite([name]) : recordWrite({ entity: name, key, action: 'update' })
      await this.#staged.stage(context, write)
    }
    if (coarse.length > 0) await this.#staged.stage(context, coarseWrite([...new Set(coarse)]))
  }
}

/**
 * The records whose relation a collection changes: of many-to-many both sides, since filters and permissions may look
 * through it from either; of one-to-many those which the collection writes itself.
 */
function changeOf(collection: Collection<object>): CollectionChange {
  const { property, owner } = collection
  const snapshot = collection.getSnapshot()
  const items = collection.getItems(false)
  const removed = (snapshot ?? []).filter((item) => !items.includes(item))
  const added = snapshot === undefined ? items : items.filter((item) => !snapshot.includes(item))
  if (property.kind === ReferenceKind.ONE_TO_MANY) {
    return { entities: [...added, ...removed], unknown: snapshot === undefined }
  }
  // What an unloaded collection held before only the database knows, if it is replaced as a whole.
  const unknown = snapshot === undefined && collection.isInitialized()
  if (added.length + removed.length === 0 && !unknown) return { entities: [], unknown: false }
  return { entities: [owner, ...added, ...removed], unknown }
}
