import { type EntityMetadata, type EntityProperty, ReferenceKind } from '@mikro-orm/core'

/** The rules of a foreign key by which the database itself writes other rows. */
const WRITES = new Set(['cascade', 'set null', 'set default'])

/** The rules that apply where a relation names none. */
export interface DefaultRules {
  readonly delete?: string | undefined
  readonly update?: string | undefined
}

/**
 * Which entities the database writes by itself, by its foreign keys, when a record is deleted or its key is changed.
 * MikroORM hears nothing of that.
 */
export class Cascades {
  readonly #metas: readonly EntityMetadata[]
  readonly #defaults: DefaultRules
  readonly #onDelete = new Map<EntityMetadata, readonly string[]>()
  readonly #onKeyChange = new Map<EntityMetadata, readonly string[]>()

  constructor(metas: readonly EntityMetadata[], defaults: DefaultRules) {
    this.#metas = metas
    this.#defaults = defaults
  }

  /** The entities of which records may be deleted or changed with a record of this one. */
  onDelete(meta: EntityMetadata): readonly string[] {
    return remember(this.#onDelete, meta.root, () => {
      const reached = new Set<string>()
      const visited = new Set<EntityMetadata>()
      const visit = (parent: EntityMetadata): void => {
        if (visited.has(parent)) return
        visited.add(parent)
        for (const { child, property } of this.#referencing(parent)) {
          const rule = (property.deleteRule ?? this.#defaults.delete)?.toLowerCase() ?? ''
          if (!WRITES.has(rule)) continue
          for (const entity of entitiesOf(child, parent)) reached.add(entity)
          if (rule === 'cascade' && child.pivotTable !== true) visit(child.root)
        }
      }
      visit(meta.root)
      return [...reached]
    })
  }

  /** The entities of which records may refer to a record by its key, and are changed with the key. */
  onKeyChange(meta: EntityMetadata): readonly string[] {
    return remember(this.#onKeyChange, meta.root, () => {
      const reached = new Set<string>()
      for (const { child, property } of this.#referencing(meta.root)) {
        const rule = (property.updateRule ?? this.#defaults.update)?.toLowerCase() ?? ''
        if (WRITES.has(rule)) for (const entity of entitiesOf(child, meta.root)) reached.add(entity)
      }
      return [...reached]
    })
  }

  #referencing(parent: EntityMetadata): readonly { child: EntityMetadata; property: EntityProperty }[] {
    return this.#metas.flatMap((child) =>
      child.relations
        .filter((property) => isForeignKey(property) && property.targetMeta?.root === parent.root)
        .map((property) => ({ child, property })),
    )
  }
}

function isForeignKey({ kind, owner, persist, createForeignKeyConstraint }: EntityProperty): boolean {
  if (persist === false || !createForeignKeyConstraint) return false
  return kind === ReferenceKind.MANY_TO_ONE || (kind === ReferenceKind.ONE_TO_ONE && owner)
}

/** A row of a pivot table is no record of its own: it belongs to the records on both of its sides. */
function entitiesOf(child: EntityMetadata, parent: EntityMetadata): readonly string[] {
  return child.pivotTable === true ? otherSides(child, parent) : [child.root.className]
}

function otherSides(pivot: EntityMetadata, parent: EntityMetadata): readonly string[] {
  const targets = pivot.relations.flatMap(({ targetMeta }) => targetMeta?.root ?? [])
  const others = targets.filter((target) => target !== parent.root)
  return (others.length === 0 ? targets : others).map(({ className }) => className)
}

function remember<K, V>(known: Map<K, V>, key: K, make: () => V): V {
  const found = known.get(key)
  if (found !== undefined) return found
  const made = make()
  known.set(key, made)
  return made
}
