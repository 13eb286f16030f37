import { type EntityMetadata, type EntityProperty, ReferenceKind } from '@mikro-orm/core'
import { isMadePivot } from './row-names.ts'

/** The rules of a foreign key by which the database itself writes other rows. */
const WRITES = new Set(['cascade', 'set null', 'set default'])

/** The rules that apply where a relation names none. */
export interface DefaultRules {
  readonly delete?: string | undefined
  readonly update?: string | undefined
}

/** Records that refer to others by a foreign key with a rule by which the database writes them. */
export interface Dependency {
  readonly child: EntityMetadata
  readonly property: EntityProperty
  /** The rows are deleted, not only changed. */
  readonly cascades: boolean
  /** The entities that change with these rows. */
  readonly entities: readonly string[]
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
  readonly #dependencies = new Map<EntityMetadata, readonly Dependency[]>()

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
        for (const { child, cascades, entities } of this.dependencies(parent)) {
          for (const entity of entities) reached.add(entity)
          if (cascades) visit(child.root)
        }
      }
      visit(meta.root)
      return [...reached]
    })
  }

  /** What the database writes at once if records of this entity are deleted; that may go on from there. */
  dependencies(meta: EntityMetadata): readonly Dependency[] {
    return remember(this.#dependencies, meta.root, () =>
      this.#referencing(meta.root).flatMap(({ child, property }) => {
        const rule = (property.deleteRule ?? this.#defaults.delete)?.toLowerCase() ?? ''
        const entities = entitiesOf(child, meta.root)
        return WRITES.has(rule) ? [{ child, property, cascades: rule === 'cascade', entities }] : []
      }),
    )
  }

  /** The entities whose tables PostgreSQL empties with that of this one, if it is told to: all that refer to it. */
  onTruncate(meta: EntityMetadata): readonly string[] {
    const reached = new Set<string>()
    const visited = new Set<EntityMetadata>([meta.root])
    for (const parent of visited) {
      for (const { child } of this.#referencing(parent)) {
        for (const entity of entitiesOf(child, parent)) reached.add(entity)
        visited.add(child.root)
      }
    }
    return [...reached]
  }

  /** The entities of which records may refer to a record by its key, and are changed with the key. */
  onKeyChange(meta: EntityMetadata): readonly string[] {
    return remember(this.#onKeyChange, meta.root, () => {
      const reached = new Set<string>()
      // A key that is made of keys of others changes with them.
      const visited = new Set<EntityMetadata>([meta.root])
      for (const parent of visited) {
        for (const { child, property } of this.#referencing(parent)) {
          const rule = (property.updateRule ?? this.#defaults.update)?.toLowerCase() ?? ''
          if (!WRITES.has(rule)) continue
          for (const entity of entitiesOf(child, parent)) reached.add(entity)
          if (property.primary === true) visited.add(child.root)
        }
      }
      return [...reached]
    })
  }

  #referencing(parent: EntityMetadata): readonly { child: EntityMetadata; property: EntityProperty }[] {
    const found = new Map<string, { child: EntityMetadata; property: EntityProperty }>()
    for (const child of this.#metas) {
      for (const property of child.relations) {
        if (!isForeignKey(property) || property.targetMeta?.root !== parent.root) continue
        // Classes that share a table share its columns.
        found.set(`${child.root.className} ${property.joinColumns.join()}`, { child, property })
      }
    }
    return [...found.values()]
  }
}

function isForeignKey({ kind, owner, persist, createForeignKeyConstraint }: EntityProperty): boolean {
  if (persist === false || !createForeignKeyConstraint) return false
  return kind === ReferenceKind.MANY_TO_ONE || (kind === ReferenceKind.ONE_TO_ONE && owner)
}

/** A row of a pivot table that MikroORM has made is no record of its own: it belongs to the records on both sides. */
function entitiesOf(child: EntityMetadata, parent: EntityMetadata): readonly string[] {
  if (child.pivotTable !== true) return [child.root.className]
  return isMadePivot(child) ? otherSides(child, parent) : [child.root.className, ...otherSides(child, parent)]
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
