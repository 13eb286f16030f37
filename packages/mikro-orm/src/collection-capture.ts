import { type Collection, ReferenceKind } from '@mikro-orm/core'
import type { AbstractSqlDriver } from '@mikro-orm/sql'
import { coarseWrite, recordWrite } from '@rtapi/sql'
import type { EntityBook } from './entity-book.ts'
import type { NativeCapture } from './native-capture.ts'
import { keyOfKnown } from './record.ts'
import type { ContextStaging, TransactionContext } from './context-staging.ts'

/** What a flush changes of a collection. */
interface CollectionChange {
  /** Records on either side whose relation changes. */
  readonly entities: readonly object[]
  /** Entities of which unknown records change. */
  readonly coarse: readonly string[]
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
      const all = [...collections]
      if (all.length === 0) return sync(all, options)
      const changes = all.flatMap((collection) => changeOf(collection as Collection<object>))
      await this.#native.quietly(async () => sync(all, options))
      await this.#staged.guard(() => this.#stage(options?.ctx as TransactionContext | undefined, changes))
    }
    return () => void Reflect.deleteProperty(driver, 'syncCollections')
  }

  async #stage(context: TransactionContext | undefined, changes: readonly CollectionChange[]): Promise<void> {
    for (const entity of new Set(changes.flatMap(({ entities }) => entities))) {
      const shape = this.#book.shapeOf(this.#book.metaOf(entity))
      const key = keyOfKnown(shape, this.#book.stored(shape, entity))
      const { entity: name } = shape
      // The columns of the record are what they were, whatever that is.
      const write = key === undefined ? coarseWrite([name]) : recordWrite({ entity: name, key, action: 'update' })
      await this.#staged.stage(context, write)
    }
    const coarse = new Set(changes.flatMap((change) => change.coarse))
    if (coarse.size > 0) await this.#staged.stage(context, coarseWrite([...coarse]))
  }
}

/**
 * The records whose relation a collection changes: of many-to-many both sides, since filters and permissions may look
 * through it from either; of one-to-many those which the collection writes itself.
 */
function changeOf(collection: Collection<object>): CollectionChange[] {
  const { property, owner } = collection
  const target = property.targetMeta?.root.className ?? ''
  const snapshot = collection.getSnapshot()
  const items = collection.getItems(false)
  const removed = (snapshot ?? []).filter((item) => !items.includes(item))
  const added = snapshot === undefined ? items : items.filter((item) => !snapshot.includes(item))
  // What an unloaded collection held before nobody knows, if it is replaced as a whole.
  const unknown = snapshot === undefined && collection.isInitialized()
  if (property.kind === ReferenceKind.ONE_TO_MANY) {
    return unknown || snapshot === undefined
      ? [{ entities: [...added], coarse: [target] }]
      : [{ entities: [...added, ...removed], coarse: [] }]
  }
  if (added.length + removed.length === 0 && !unknown) return []
  return [{ entities: [owner, ...added, ...removed], coarse: unknown ? [target] : [] }]
}
