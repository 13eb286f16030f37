import {
  type EntityMetadata,
  type EntityProperty,
  IntegerType,
  MediumIntType,
  type Platform,
  ReferenceKind,
  SmallIntType,
  TinyIntType,
  Type,
} from '@mikro-orm/core'
import type { FieldType } from '@rtapi/core'
import type { RecordField } from '@rtapi/sql'

/** One field of an entity's rows: a scalar or embedded property, or a to-one relation as the key of its target. */
export interface Field extends RecordField {
  /** That of the property, for a relation followed by `Id`. */
  readonly name: string
  readonly property: EntityProperty
  /** The property that says what the column holds: for a relation the key of its target, otherwise `property`. */
  readonly holder: EntityProperty
  /** Not if it is generated or counted by MikroORM. */
  readonly writable: boolean
  /** Of an embedded object, or a list of them: its own fields. */
  readonly members?: readonly Field[]
}

/** The rows of an entity as they travel. */
export interface EntityShape {
  /** The entity as changes name it: its class, or the root of its table where several share one. */
  readonly entity: string
  readonly meta: EntityMetadata
  readonly fields: ReadonlyMap<string, Field>
  /** Those that can be compared: by others nothing is filtered, sorted or grouped. */
  readonly comparable: readonly Field[]
  /** The fields of the key, in order; `undefined` if part of the key cannot travel (a relation to a composite key). */
  readonly key: readonly Field[] | undefined
}

/**
 * Reads from the metadata which fields an entity has on the wire. An embedded object is one field of json. Left out are:
 * hidden, not persistent, computed (formula) and lazy properties, those of subclasses in the same table, collections, the inverse sides of relations, polymorphic relations, and relations to
 * an entity with a composite key or by another property than the key.
 */
export function shapeOf(meta: EntityMetadata, platform: Platform): EntityShape {
  const fields = new Map<string, Field>()
  for (const property of meta.props) {
    const field = fieldOf(property, platform)
    if (field === undefined || (property.hidden === true && property.primary !== true)) continue
    if (property !== field.holder && meta.props.some((other) => other.name === field.name && isColumn(other))) continue
    fields.set(field.name, field)
  }
  const key = meta.primaryKeys.map((name) => [...fields.values()].find(({ property }) => property.name === name))
  return {
    entity: meta.root.className,
    meta,
    fields,
    comparable: [...fields.values()].filter(({ type }) => type !== 'json' && type !== 'bytes'),
    key: key.every((field) => field !== undefined) ? key : undefined,
  }
}

function isColumn(property: EntityProperty): boolean {
  return property.kind === ReferenceKind.SCALAR && property.persist !== false
}

function fieldOf(property: EntityProperty, platform: Platform): Field | undefined {
  if (property.persist === false || property.formula !== undefined || property.lazy === true) return undefined
  if (property.embedded !== undefined || property.userDefined === false || property.inherited === true) return undefined
  const holder = holderOf(property)
  if (holder === undefined) return undefined
  const { kind, name, nullable } = property
  return {
    name: kind === ReferenceKind.SCALAR || kind === ReferenceKind.EMBEDDED ? name : `${name}Id`,
    property,
    holder,
    type: kind === ReferenceKind.EMBEDDED ? 'json' : fieldTypeOf(holder, platform),
    nullable: nullable === true,
    optional: hasDefault(property),
    writable: property.generated === undefined && property.version !== true,
    ...(kind === ReferenceKind.EMBEDDED ? membersOf(property, platform) : {}),
  }
}

/** Of one class with scalars and further such objects; of others nothing is known, and they travel as they are. */
function membersOf({ embeddedProps, targetMeta }: EntityProperty, platform: Platform): { members?: readonly Field[] } {
  const members: Field[] = []
  if (targetMeta?.discriminatorColumn !== undefined || targetMeta?.polymorphs !== undefined) return {}
  for (const [name, property] of Object.entries(embeddedProps)) {
    if (property.hidden === true || property.formula !== undefined) continue
    const isEmbedded = property.kind === ReferenceKind.EMBEDDED
    if (!isEmbedded && property.kind !== ReferenceKind.SCALAR) return {}
    members.push({
      name,
      property,
      holder: property,
      type: isEmbedded ? 'json' : fieldTypeOf(property, platform),
      nullable: property.nullable === true,
      writable: property.generated === undefined,
      ...(isEmbedded ? membersOf(property, platform) : {}),
    })
  }
  return { members }
}

function holderOf(property: EntityProperty): EntityProperty | undefined {
  switch (property.kind) {
    case ReferenceKind.SCALAR:
    case ReferenceKind.EMBEDDED:
      return property
    case ReferenceKind.MANY_TO_ONE:
    case ReferenceKind.ONE_TO_ONE: {
      const target = property.targetMeta
      const [key, ...others] = target?.primaryKeys ?? []
      const inverse = property.kind === ReferenceKind.ONE_TO_ONE && !property.owner
      if (target === undefined || key === undefined || others.length > 0) return undefined
      if (inverse || property.polymorphic === true || property.targetKey !== undefined) return undefined
      if (property.fieldNames.length !== 1) return undefined
      const holder = target.properties[key]
      return holder === undefined ? undefined : holderOf(holder)
    }
    default:
      return undefined
  }
}

function hasDefault(property: EntityProperty): boolean {
  return (
    property.default !== undefined ||
    property.defaultRaw !== undefined ||
    property.autoincrement === true ||
    property.generated !== undefined ||
    property.version === true ||
    property.onCreate !== undefined ||
    property.optional === true
  )
}

/** The types of a property's own, by the name under which MikroORM registers them. */
const fieldTypes: Readonly<Record<string, FieldType>> = {
  date: 'string',
  time: 'string',
  datetime: 'date',
  blob: 'bytes',
  uint8array: 'bytes',
  array: 'json',
  enumArray: 'json',
  json: 'json',
  integer: 'integer',
  smallint: 'integer',
  tinyint: 'integer',
  mediumint: 'integer',
  float: 'number',
  double: 'number',
  boolean: 'boolean',
  character: 'string',
  string: 'string',
  uuid: 'string',
  text: 'string',
  interval: 'string',
}

/** What a column holds. A type of the application's own can be shown, but only the database knows how to compare it. */
export function fieldTypeOf(property: EntityProperty, platform: Platform): FieldType {
  const { customType, runtimeType } = property
  if (customType !== undefined) {
    const type = Type.getOrmType(customType.constructor)
    if (type === 'bigint') return runtimeType === 'number' ? 'integer' : 'bigint'
    if (type === 'decimal') return runtimeType === 'number' ? 'number' : 'decimal'
    if (type === 'enum') return enumType(property)
    return fieldTypes[type ?? ''] ?? 'json'
  }
  if (property.array === true) return 'json'
  if (property.enum === true) return enumType(property)
  switch (runtimeType) {
    case 'string':
      return 'string'
    case 'boolean':
      return 'boolean'
    case 'bigint':
      return 'bigint'
    case 'Date':
      return 'date'
    case 'Buffer':
      return 'bytes'
    case 'number':
      return isIntegerColumn(property, platform) ? 'integer' : 'number'
    default:
      return 'json'
  }
}

function enumType({ items = [], runtimeType }: EntityProperty): FieldType {
  if (items.length > 0 ? items.every((item) => typeof item === 'number') : runtimeType === 'number') {
    return items.every((item) => Number.isInteger(item)) ? 'integer' : 'number'
  }
  return 'string'
}

function isIntegerColumn(property: EntityProperty, platform: Platform): boolean {
  const type = platform.getMappedType(property.columnTypes[0] ?? '')
  return [IntegerType, SmallIntType, TinyIntType, MediumIntType].some((integer) => type instanceof integer)
}
