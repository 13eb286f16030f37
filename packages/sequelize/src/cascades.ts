import { type ModelClass, attributesOf, tableOf } from './model-class.ts'

/** The rules of a foreign key by which the database itself writes other rows. */
const WRITES = /^(cascade|set null|set default)$/i

/** A foreign key of a model, with the rules by which the database follows what it refers to. */
export interface ForeignKey {
  readonly child: ModelClass
  /** Its column in the table of the child. */
  readonly column: string
  /** Whether it is part of the key of the child. */
  readonly isKey: boolean
  /** The column that it refers to; absent: the key of the table. */
  readonly target: string | undefined
  readonly onDelete: string
  readonly onUpdate: string
}

/**
 * Which models' rows the database writes by itself, by its foreign keys, when a record is deleted or its key is changed.
 * Sequelize hears nothing of that. Read from the attributes that refer to a table, which associations make too.
 */
export class Cascades {
  /** By the tables that they refer to. */
  readonly #keys = new Map<string, ForeignKey[]>()

  constructor(models: readonly ModelClass[]) {
    for (const child of models) {
      for (const [, { field, references, primaryKey, onDelete = '', onUpdate = '' }] of attributesOf(child)) {
        const table = referencedTable(references)?.toLowerCase()
        if (table === undefined) continue
        const key = {
          child,
          column: field,
          isKey: primaryKey === true,
          target: targetOf(references),
          onDelete,
          onUpdate,
        }
        this.#keys.set(table, [...(this.#keys.get(table) ?? []), key])
      }
    }
  }

  /** The foreign keys by which the database deletes or changes rows with a row of this model. */
  keysFollowingDelete(model: ModelClass): readonly ForeignKey[] {
    return this.#keysOf(model).filter(({ onDelete }) => WRITES.test(onDelete))
  }

  /**
   * The foreign keys by which the database changes rows when these columns of a row of this model are changed.
   * @param columns - by their names in the table. @default those of the key
   */
  keysFollowingChange(model: ModelClass, columns?: readonly string[]): readonly ForeignKey[] {
    const keys = this.#keysOf(model)
    if (keys.length === 0) return keys
    const key = keyColumnsOf(model)
    const changed = columns ?? key
    return keys.filter(({ target, onUpdate }) => {
      const targets = target === undefined ? key : [target]
      return WRITES.test(onUpdate) && targets.some((column) => changed.includes(column))
    })
  }

  /**
   * The models of which rows may be deleted or changed with a row of this one.
   * @param truncated - the whole table is emptied with all that refer to it, whatever the rules of their keys are.
   */
  onDelete(model: ModelClass, truncated = false): readonly ModelClass[] {
    const reached = new Set<ModelClass>()
    const visited = new Set<string>()
    const visit = (parent: ModelClass): void => {
      const table = nameOfTable(parent)
      if (visited.has(table)) return
      visited.add(table)
      for (const key of truncated ? this.#keysOf(parent) : this.keysFollowingDelete(parent)) {
        reached.add(key.child)
        if (truncated || isCascade(key.onDelete)) visit(key.child)
      }
    }
    visit(model)
    return [...reached]
  }

  /**
   * The models of which rows may refer to a row by one of these columns, and are changed with it.
   * @param columns - by their names in the table. @default those of the key
   */
  onKeyChange(model: ModelClass, columns?: readonly string[]): readonly ModelClass[] {
    const reached = new Set<ModelClass>()
    const visit = (parent: ModelClass, changed?: readonly string[]): void => {
      for (const key of this.keysFollowingChange(parent, changed)) {
        if (reached.has(key.child)) continue
        reached.add(key.child)
        // What is changed with it may be referred to itself.
        visit(key.child, [key.column])
      }
    }
    visit(model, columns)
    return [...reached]
  }

  #keysOf(model: ModelClass): readonly ForeignKey[] {
    return this.#keys.get(nameOfTable(model)) ?? []
  }
}

/** Whether rows are deleted with the row that they refer to. */
export function isCascade(rule: string): boolean {
  return /^cascade$/i.test(rule)
}

/** The columns of the key of a model. */
export function keyColumnsOf(model: ModelClass): readonly string[] {
  return attributesOf(model).flatMap(([, { primaryKey, field }]) => (primaryKey === true ? [field] : []))
}

function nameOfTable(model: ModelClass): string {
  return tableOf(model).tableName.toLowerCase()
}

function targetOf(references: unknown): string | undefined {
  if (typeof references !== 'object' || references === null) return undefined
  const key: unknown = Reflect.get(references, 'key')
  return typeof key === 'string' ? key : undefined
}

function referencedTable(references: unknown): string | undefined {
  if (typeof references === 'string') return references
  if (typeof references !== 'object' || references === null) return undefined
  const model: unknown = Reflect.get(references, 'model')
  if (typeof model === 'string') return model
  if (typeof model === 'function') return tableOf(model as unknown as ModelClass).tableName
  if (typeof model !== 'object' || model === null) return undefined
  const table: unknown = Reflect.get(model, 'tableName')
  return typeof table === 'string' ? table : undefined
}
