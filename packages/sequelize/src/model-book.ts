import type { Dialect } from '@rtapi/sql'
import { BelongsToMany, type Model, type Sequelize } from 'sequelize'
import { Cascades } from './cascades.ts'
import { type ModelClass, tableOf } from './model-class.ts'
import { type Field, type ModelShape, columnOf, shapeOf } from './model-shape.ts'

/** A foreign key of a through table: the records of this entity belong to its rows. */
export interface ThroughEnd {
  readonly entity: string
  /** The field of the through table that holds the key of the record. */
  readonly field: Field
  /** The shape of the record; absent if the field refers to something else than its key. */
  readonly shape?: ModelShape
}

/** What is read from all models together. Models and associations may be added later. */
interface Edition {
  readonly size: number
  readonly cascades: Cascades
  readonly tables: ReadonlyMap<string, readonly ModelClass[]>
  readonly ends: ReadonlyMap<string, readonly ThroughEnd[]>
}

/** What the captures have to know of the models. */
export class ModelBook {
  readonly #sequelize: Sequelize
  readonly #dialect: Dialect
  readonly #trustLoaded: boolean
  readonly #locked = new WeakSet<Model>()
  readonly #shapes = new Map<string, { readonly size: number; readonly shape: ModelShape }>()
  readonly #roundings = new WeakMap<Field, { readonly rounding: ((value: unknown) => boolean) | undefined }>()
  #edition: Edition | undefined

  constructor(sequelize: Sequelize, options: { readonly dialect: Dialect; readonly trustLoaded: boolean }) {
    this.#sequelize = sequelize
    this.#dialect = options.dialect
    this.#trustLoaded = options.trustLoaded
  }

  /** The shape of a model with all its fields, whatever the scope of the class is. */
  shapeOf(model: ModelClass): ModelShape {
    const size = countOf(model.getAttributes())
    const known = this.#shapes.get(model.name)
    if (known?.size === size) return known.shape
    const shape = shapeOf(model)
    this.#shapes.set(model.name, { size, shape })
    return shape
  }

  /** The names of the columns of a model. */
  columnsOf(model: ModelClass): readonly string[] {
    return [...this.shapeOf(model).fields.values()].map(({ column }) => column)
  }

  get cascades(): Cascades {
    return this.#current.cascades
  }

  /** Whether a model has this table, whose name is in lower case. */
  isTable(name: string): boolean {
    return this.#current.tables.has(name)
  }

  /** The models of this table, whose name is in lower case. */
  modelsOf(table: string): readonly ModelClass[] {
    return this.#current.tables.get(table) ?? []
  }

  /** To which records the rows of a model belong, if it is the through table of a many-to-many relation. */
  endsOf(model: ModelClass): readonly ThroughEnd[] {
    return this.#current.ends.get(model.name) ?? []
  }

  /** The entities of which records change when unknown rows of these models do. */
  entitiesOf(models: readonly ModelClass[]): readonly string[] {
    const entities = new Set<string>()
    for (const model of models) {
      entities.add(model.name)
      for (const { entity } of this.endsOf(model)) entities.add(entity)
    }
    return [...entities]
  }

  /** Whether the column holds just what it was given. */
  isKept(field: Field, value: unknown): boolean {
    let known = this.#roundings.get(field)
    if (known === undefined) {
      known = { rounding: this.#dialect.rounding(columnOf(field, '')) }
      this.#roundings.set(field, known)
    }
    return known.rounding?.(value) !== true
  }

  /** Nobody else can have changed the record of this instance since it was read. */
  markLocked(instance: Model): void {
    this.#locked.add(instance)
  }

  /**
   * Whether what the instance held when it was read is what the record held when it was written. If not so, somebody
   * else may have changed it in between, and only the key is certain.
   */
  isCertain(instance: Model): boolean {
    return this.#trustLoaded || this.#locked.has(instance)
  }

  get #current(): Edition {
    const { models } = this.#sequelize
    // Asked for each write: so it is counted without lists.
    let size = 0
    for (const name in models) size += 1 + countOf(models[name]?.associations)
    if (this.#edition?.size !== size) this.#edition = this.#read(Object.values(models), size)
    return this.#edition
  }

  #read(models: readonly ModelClass[], size: number): Edition {
    const tables = new Map<string, ModelClass[]>()
    for (const model of models) {
      const table = tableOf(model).tableName.toLowerCase()
      tables.set(table, [...(tables.get(table) ?? []), model])
    }
    const ends = new Map<string, ThroughEnd[]>()
    for (const association of models.flatMap((model) => Object.values(model.associations))) {
      if (!(association instanceof BelongsToMany)) continue
      const { source, target, foreignKey, otherKey, sourceKey, targetKey, through } = association as BelongsToMany & {
        readonly through: { readonly model: ModelClass }
      }
      for (const [model, field, key] of [
        [source, foreignKey, sourceKey],
        [target, otherKey, targetKey],
      ] as const) {
        const known = ends.get(through.model.name) ?? []
        ends.set(through.model.name, known)
        if (!known.some((end) => end.field.name === field)) known.push(...this.#end(through.model, model, field, key))
      }
    }
    return { size, cascades: new Cascades(models), tables, ends }
  }

  #end(through: ModelClass, model: ModelClass, name: string, key: string): readonly ThroughEnd[] {
    const field = this.shapeOf(through).fields.get(name)
    const shape = this.shapeOf(model)
    if (field === undefined) return []
    const isKey = shape.key.length === 1 && shape.key[0]?.name === key
    return [isKey ? { entity: model.name, field, shape } : { entity: model.name, field }]
  }
}

/** How many members an object has. */
function countOf(object: object = {}): number {
  let count = 0
  for (const _ in object) count += 1
  return count
}
