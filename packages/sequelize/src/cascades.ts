import { type ModelClass, attributesOf, tableOf } from './model-class.ts'

/** The rules of a foreign key by which the database itself writes other rows. */
const WRITES = /^(cascade|set null|set default)$/i

interface ForeignKey {
  readonly child: ModelClass
  readonly table: string
  readonly isKey: boolean
  readonly onDelete: string
  readonly onUpdate: string
}

/**
 * Which models' rows the database writes by itself, by its foreign keys, when a record is deleted or its key is changed.
 * Sequelize hears nothing of that. Read from the attributes that refer to a table, which associations make too.
 */
export class Cascades {
  readonly #keys: readonly ForeignKey[]

  constructor(models: readonly ModelClass[]) {
    this.#keys = models.flatMap((child) =>
      attributesOf(child).flatMap(([, { references, primaryKey, onDelete = '', onUpdate = '' }]) => {
        const table = referencedTable(references)
        const isKey = primaryKey === true
        return table === undefined ? [] : [{ child, table: table.toLowerCase(), isKey, onDelete, onUpdate }]
      }),
    )
  }

  /**
   * The models of which rows may be deleted or changed with a row of this one.
   * @param truncated - the whole table is emptied with all that refer to it, whatever the rules of their keys are.
   */
  onDelete(model: ModelClass, truncated = false): readonly ModelClass[] {
    const reached = new Set<ModelClass>()
    const visited = new Set<string>()
    const visit = (parent: ModelClass): void => {
      const table = tableOf(parent).tableName.toLowerCase()
      if (visited.has(table)) return
      visited.add(table)
      for (const key of this.#keys) {
        if (key.table !== table || !(truncated || WRITES.test(key.onDelete))) continue
        reached.add(key.child)
        if (truncated || /^cascade$/i.test(key.onDelete)) visit(key.child)
      }
    }
    visit(model)
    return [...reached]
  }

  /** The models of which rows may refer to a row by its key, and are changed with the key. */
  onKeyChange(model: ModelClass): readonly ModelClass[] {
    const reached = new Set<ModelClass>()
    const visit = (parent: ModelClass): void => {
      const table = tableOf(parent).tableName.toLowerCase()
      for (const key of this.#keys) {
        if (key.table !== table || !WRITES.test(key.onUpdate) || reached.has(key.child)) continue
        reached.add(key.child)
        // What is changed with a key may be part of a key itself.
        if (key.isKey) visit(key.child)
      }
    }
    visit(model)
    return [...reached]
  }
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
