import {
  type EntityMetadata,
  type EntityName,
  type EntityProperty,
  type MetadataStorage,
  type Platform,
  ReferenceKind,
  helper,
} from '@mikro-orm/core'
import type { Json } from '@rtapi/core'
import type { Dialect } from '@rtapi/sql'
import { Cascades, type DefaultRules } from './cascades.ts'
import { type EntityShape, type Field, shapeOf } from './entity-shape.ts'
import { columnOfField } from './table-columns.ts'
import { RowNames, isMadePivot } from './row-names.ts'
import { type RawRow, knownOfData, knownOfEntity } from './record.ts'

/** What the captures have to know of the entities; read from the metadata once. */
export class EntityBook {
  readonly cascades: Cascades
  readonly #metadata: MetadataStorage
  readonly #platform: Platform
  readonly #dialect: Dialect
  readonly #trustLoaded: boolean
  readonly #namesRows: boolean
  readonly #locked = new WeakSet<object>()
  readonly #roundings = new Map<Field, { readonly rounding: ((value: unknown) => boolean) | undefined }>()
  readonly #shapes = new Map<EntityMetadata, EntityShape>()
  readonly #names = new Map<EntityMetadata, { readonly names: RowNames | undefined }>()
  readonly #manyToMany = new Map<EntityMetadata, readonly EntityProperty[]>()
  readonly #tables = new Map<string, readonly EntityMetadata[]>()

  constructor(
    metadata: MetadataStorage,
    platform: Platform,
    options: {
      readonly dialect: Dialect
      readonly rules: DefaultRules
      readonly trustLoaded: boolean
      /** Whether rows are asked for which records they are. */
      readonly namesRows: boolean
    },
  ) {
    this.#dialect = options.dialect
    this.#trustLoaded = options.trustLoaded
    this.#namesRows = options.namesRows
    this.#metadata = metadata
    this.#platform = platform
    const metas = [...metadata.getAll().values()].filter(({ embeddable, virtual }) => !embeddable && virtual !== true)
    this.cascades = new Cascades(metas, options.rules)
    for (const meta of metas) {
      const table = meta.tableName.toLowerCase()
      this.#tables.set(table, [...(this.#tables.get(table) ?? []), meta])
    }
  }

  shapeOf(meta: EntityMetadata): EntityShape {
    const known = this.#shapes.get(meta)
    if (known !== undefined) return known
    // Entities carry the metadata of the last `MikroORM` that was made for their class, which may be another one.
    const own = this.#metadata.find<object>(meta.class as EntityName<object>) ?? meta
    const shape = shapeOf(own, this.#platform)
    this.#shapes.set(meta, shape)
    return shape
  }

  /** Whether MikroORM computes generated keys, since the database does not answer them. */
  get computesKeys(): boolean {
    return !this.#platform.usesReturningStatement()
  }

  /** How rows of this entity's table name their records; `undefined` if they cannot, or shall not. */
  namesOf(meta: EntityMetadata): RowNames | undefined {
    if (!this.#namesRows) return undefined
    const known = this.#names.get(meta)
    if (known !== undefined) return known.names
    const names = RowNames.of(this.shapeOf(meta), this.#platform, this.#dialect)
    this.#names.set(meta, { names })
    return names
  }

  manyToManyOf(meta: EntityMetadata): readonly EntityProperty[] {
    const known = this.#manyToMany.get(meta)
    if (known !== undefined) return known
    const relations = meta.relations.filter(({ kind }) => kind === ReferenceKind.MANY_TO_MANY)
    this.#manyToMany.set(meta, relations)
    return relations
  }

  metaOf(entity: object): EntityMetadata {
    return helper(entity).__meta
  }

  /** The metadata under which the driver is given an entity. */
  metaOfClass<E extends object>(entityName: EntityName<E>): EntityMetadata {
    return this.#metadata.get(entityName)
  }

  /**
   * What a flush has just written of an entity, in wire form.
   * @param payload - what it wrote, by the names of the properties; absent: every field of the entity.
   */
  written(shape: EntityShape, entity: object, payload?: object): Record<string, Json> {
    return knownOfEntity(shape, entity, (field, value) => {
      const { property } = field
      const isWritten = payload === undefined || property.name in payload || property.primary === true
      return isWritten && this.#roundingOf(field)?.(value) !== true
    })
  }

  #roundingOf(field: Field): ((value: unknown) => boolean) | undefined {
    const known = this.#roundings.get(field)
    if (known !== undefined) return known.rounding
    const rounding = this.#dialect.rounding(columnOfField(field, ''))
    this.#roundings.set(field, { rounding })
    return rounding
  }

  /** Nobody else can have changed the record of this entity since it was read. */
  markLocked(entity: object): void {
    this.#locked.add(entity)
  }

  /**
   * Whether what the entity held when it was read is what the record held when it was written. If not so, somebody else
   * may have changed it in between, and only the key is certain.
   */
  isCertain(entity: object): boolean {
    return this.#trustLoaded || this.#locked.has(entity)
  }

  /** What is known of an entity as it was last read from the database or written to it, in wire form. */
  stored(shape: EntityShape, entity: object): Record<string, Json> {
    return this.known(shape, helper(entity).__originalEntityData ?? {})
  }

  /** The values in the form of the database, as far as they are known, in wire form. */
  known(shape: EntityShape, data: RawRow): Record<string, Json> {
    return knownOfData(shape, data, this.#platform)
  }

  /** Whether an entity has this table, whose name is in lower case. */
  isTable(name: string): boolean {
    return this.#tables.has(name)
  }

  /**
   * The entities of which records change with rows of this table: of a pivot table those on both sides.
   * @param sql - the statement, which tells whether it may change keys, or replace rows.
   */
  entitiesOf(table: string, verb: string, sql = ''): readonly string[] {
    const entities = new Set<string>()
    const add = (others: readonly string[]): void => others.forEach((entity) => entities.add(entity))
    for (const meta of this.#tables.get(table) ?? []) {
      if (meta.pivotTable === true) add(meta.relations.flatMap(({ targetMeta }) => targetMeta?.root.className ?? []))
      if (isMadePivot(meta)) continue
      entities.add(meta.root.className)
      const deletes = verb === 'delete' || verb === 'replace' || verb === 'merge' || REPLACES.test(sql)
      if (deletes || verb === 'truncate') add(this.cascades.onDelete(meta))
      if (verb === 'truncate') add(this.cascades.onTruncate(meta))
      const keys = meta.getPrimaryProps().flatMap(({ fieldNames }) => fieldNames)
      if (verb !== 'delete' && keys.some((column) => assigns(column, sql))) add(this.cascades.onKeyChange(meta))
    }
    return [...entities]
  }
}

/** SQLite deletes the rows that are in the way. */
const REPLACES = /\bor\s+replace\b/i

/** Whether a statement may give a column another value: rather too often than not. */
function assigns(column: string, sql: string): boolean {
  const name = column.replaceAll(/[^\w$]/g, '.')
  return new RegExp(`(?:\\b(?:set|update)\\b|,)\\s*(?:\\(|(?:[\\w"\`]+\\.)?["\`]?${name}["\`]?\\s*=)`, 'i').test(sql)
}
