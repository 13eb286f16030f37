import {
  type EntityManager,
  type EntityMetadata,
  type EventArgs,
  type EventSubscriber,
  type FlushEventArgs,
  ChangeSetType,
} from '@mikro-orm/core'
import { type Json, type Key, keyId } from '@rtapi/core'
import { type StagedWrite, coarseWrite, recordWrite } from '@rtapi/sql'
import type { EntityBook } from './entity-book.ts'
import { recordsWrite } from './statement-outcome.ts'
import type { EntityShape } from './entity-shape.ts'
import type { NativeCapture } from './native-capture.ts'
import { type RawRow, keyOfKnown, knownOfEntity } from './record.ts'
import type { ContextStaging, TransactionContext } from './context-staging.ts'

type Known = Readonly<Record<string, Json>>
type Waiting = void | Promise<void>

/**
 * Stages what the unit of work writes. The hooks run within the transaction, between the statement and the commit. They
 * query nothing, and throw nothing into MikroORM.
 */
export class UnitOfWorkCapture implements EventSubscriber<object> {
  readonly #staged: ContextStaging
  readonly #book: EntityBook
  readonly #native: NativeCapture
  /** What the entities that a flush is about to delete held in the database. */
  readonly #deleted = new WeakMap<object, RawRow>()
  #stopped = false

  constructor(staged: ContextStaging, book: EntityBook, native: NativeCapture) {
    this.#staged = staged
    this.#book = book
    this.#native = native
  }

  /** The manager of the events cannot let go of a subscriber. */
  stop(): void {
    this.#stopped = true
  }

  /** The last moment at which it is known what the entities held that are about to be deleted. */
  onFlush({ uow }: FlushEventArgs): void {
    if (this.#stopped) return
    for (const { type, entity } of uow.getChangeSets()) {
      if (type !== ChangeSetType.DELETE && type !== ChangeSetType.DELETE_EARLY) continue
      const original = uow.getOriginalEntityData(entity as object) as RawRow | undefined
      if (original !== undefined) this.#deleted.set(entity as object, original)
    }
  }

  afterCreate({ entity, meta, em, changeSet }: EventArgs<object>): Waiting {
    return this.#guard(() => {
      const context = contextOf(em)
      const unit = changeSet && this.#native.claim(context, changeSet.payload)
      const shape = this.#book.shapeOf(changeSet?.meta ?? meta)
      if (unit?.guessed === true) return this.#stageCoarse(context, [shape.entity])
      const after = withNulls(shape, entity, this.#book.written(shape, entity))
      return this.#stage(context, shape, { action: 'create', key: keyOfKnown(shape, after), after })
    })
  }

  afterUpdate({ entity, meta, em, changeSet }: EventArgs<object>): Waiting {
    return this.#guard(() => {
      const context = contextOf(em)
      const payload = changeSet?.payload ?? {}
      const checked = this.#native.claim(context, payload)?.checked === true
      const shape = this.#book.shapeOf(changeSet?.meta ?? meta)
      const original = this.#book.known(shape, changeSet?.originalEntity ?? {})
      const certain = checked || this.#book.isCertain(entity)
      const before = certain ? original : keyFieldsOf(shape, original)
      const after = { ...unwritten(shape, before, payload), ...this.#book.written(shape, entity, payload) }
      return this.#stageUpdate(context, shape, before, after)
    })
  }

  afterDelete({ entity, meta, em, changeSet }: EventArgs<object>): Waiting {
    return this.#guard(() => {
      const context = contextOf(em)
      const shape = this.#book.shapeOf(changeSet?.meta ?? meta)
      if (changeSet !== undefined) this.#native.claimDelete(context, shape.meta.root, changeSet.getPrimaryKey())
      const original = this.#book.known(shape, this.#deleted.get(entity) ?? {})
      const before = this.#book.isCertain(entity) ? original : keyFieldsOf(shape, original)
      const key = keyOfKnown(shape, before) ?? keyOfKnown(shape, knownOfEntity(shape, entity))
      return this.#stage(context, shape, { action: 'delete', key, before })
    })
  }

  /** Nobody knows whether it made the record or changed it. */
  afterUpsert({ entity, meta, em }: EventArgs<object>): Waiting {
    return this.#guard(() => {
      const shape = this.#book.shapeOf(meta)
      const after = keyFieldsOf(shape, knownOfEntity(shape, entity))
      const context = this.#native.contextOfUpsert(em) ?? contextOf(em)
      return this.#stage(context, shape, { action: 'update', key: keyOfKnown(shape, after), after })
    })
  }

  #guard(work: () => Waiting): Waiting {
    return this.#stopped ? undefined : this.#staged.guard(work)
  }

  #stageUpdate(context: TransactionContext | undefined, shape: EntityShape, before: Known, after: Known): Waiting {
    const key = keyOfKnown(shape, after)
    const oldKey = keyOfKnown(shape, before)
    if (key === undefined || oldKey === undefined || keyId(key) === keyId(oldKey)) {
      return this.#stage(context, shape, { action: 'update', key: key ?? oldKey, before, after })
    }
    return both(
      both(
        this.#stage(context, shape, { action: 'delete', key: oldKey, before }),
        this.#stage(context, shape, { action: 'create', key, after }),
      ),
      this.#stageCoarse(context, this.#book.cascades.onKeyChange(shape.meta)),
    )
  }

  #stage(
    context: TransactionContext | undefined,
    shape: EntityShape,
    write: {
      readonly action: 'create' | 'update' | 'delete'
      readonly key: Key | undefined
      readonly before?: Known
      readonly after?: Known
    },
  ): Waiting {
    const { key } = write
    const staged: StagedWrite =
      key === undefined ? coarseWrite([shape.entity]) : recordWrite({ ...write, entity: shape.entity, key })
    const staging = this.#staged.stage(context, staged)
    const { meta } = shape
    if (meta.pivotTable !== true) return staging
    return both(staging, this.#staged.stage(context, joinedWrite(this.#book, meta, [write.before, write.after])))
  }

  #stageCoarse(context: TransactionContext | undefined, entities: readonly string[]): Waiting {
    return entities.length === 0 ? undefined : this.#staged.stage(context, coarseWrite(entities))
  }
}

/** The records that a row of a pivot table joins or has joined, as far as is known of it; else all of their entities. */
function joinedWrite(book: EntityBook, meta: EntityMetadata, states: readonly (Known | undefined)[]): StagedWrite {
  const names = book.namesOf(meta)
  const records = states.flatMap((known) => (known === undefined ? [] : [names?.ofKnown(known)]))
  if (records.every((record) => record !== undefined)) {
    return recordsWrite(
      records.flat().filter(({ own }) => !own),
      'update',
    )
  }
  return coarseWrite(meta.relations.flatMap(({ targetMeta }) => targetMeta?.root.className ?? []))
}

function contextOf(em: EntityManager): TransactionContext | undefined {
  return em.getTransactionContext<TransactionContext>()
}

function both(first: Waiting, second: Waiting): Waiting {
  if (!(first instanceof Promise)) return second
  return first.then(() => second)
}

/** What a new record was not given and has no default for is null. */
function withNulls(shape: EntityShape, entity: object, known: Record<string, Json>): Known {
  for (const { name, property, nullable, optional } of shape.comparable) {
    if (!nullable || optional === true || name in known) continue
    if ((Reflect.get(entity, property.name) ?? null) === null) known[name] = null
  }
  return known
}

/** What was known before of the fields that a flush has not written. */
function unwritten(shape: EntityShape, before: Known, payload: object): Known {
  return Object.fromEntries(
    Object.entries(before).filter(([name]) => !((shape.fields.get(name)?.property.name ?? '') in payload)),
  )
}

function keyFieldsOf(shape: EntityShape, known: Known): Known {
  return Object.fromEntries(
    (shape.key ?? []).flatMap(({ name }) => (name in known ? [[name, known[name] ?? null]] : [])),
  )
}
