import type { FieldType } from '@rtapi/core'
import type { Column, RecordField } from '@rtapi/sql'
import {
  type Attribute,
  type AttributeType,
  type ModelClass,
  attributesOf,
  keptAttributes,
  typeOf,
} from './model-class.ts'

/** One field of a model's rows: an attribute that has a column. */
export interface Field extends RecordField {
  /** That of the attribute. */
  readonly name: string
  /** The name of its column. */
  readonly column: string
  readonly attribute: Attribute
  readonly attributeType: AttributeType
  /** Not if Sequelize keeps it. */
  readonly writable: boolean
}

/** The rows of a model as they travel. */
export interface ModelShape {
  /** The name of the model, under which changes name it. */
  readonly entity: string
  readonly model: ModelClass
  readonly fields: ReadonlyMap<string, Field>
  /** Those that can be compared: by others nothing is filtered, sorted or grouped. */
  readonly comparable: readonly Field[]
  /** The fields of the key, in order; empty if there is none. */
  readonly key: readonly Field[]
}

/**
 * Reads from a model which fields its rows have on the wire. Virtual attributes are left out, and those which a scope
 * leaves out, except for the key.
 * @param attributes - those of the scope, as in `findAll`. @default all
 */
export function shapeOf(model: ModelClass, attributes?: unknown): ModelShape {
  const fields = new Map<string, Field>()
  const kept = keptAttributes(model)
  const isShown = shownBy(attributes)
  for (const [name, attribute] of attributesOf(model)) {
    const attributeType = typeOf(attribute)
    const type = fieldTypeOf(attributeType)
    if (type === undefined || (!isShown(name) && attribute.primaryKey !== true)) continue
    fields.set(name, {
      name,
      column: attribute.field,
      attribute,
      attributeType,
      type,
      nullable: attribute.allowNull !== false && attribute.primaryKey !== true,
      optional: attribute.defaultValue !== undefined || attribute.autoIncrement === true || kept.has(name),
      writable: !kept.has(name),
    })
  }
  return {
    entity: model.name,
    model,
    fields,
    comparable: [...fields.values()].filter(({ type }) => type !== 'json' && type !== 'bytes'),
    key: model.primaryKeyAttributes.flatMap((name) => fields.get(name) ?? []),
  }
}

/** What a dialect has to know of the column of a field. */
export function columnOf({ type, nullable, attributeType }: Field, sql: string): Column {
  return { sql, type, nullable, declared: declaredType(attributeType), scale: attributeType._scale }
}

/** A scope chooses attributes by a list of names and pairs, or by `include` and `exclude`. */
function shownBy(attributes: unknown): (name: string) => boolean {
  if (Array.isArray(attributes)) return (name) => attributes.includes(name)
  if (typeof attributes !== 'object' || attributes === null) return () => true
  const excluded = Reflect.get(attributes, 'exclude') as unknown
  return (name) => !Array.isArray(excluded) || !excluded.includes(name)
}

function declaredType(type: AttributeType): string {
  // Its values would have to be escaped for that.
  if (type.key === 'ENUM') return 'enum'
  // With up to 24 digits of its mantissa PostgreSQL makes it a number of four bytes.
  if (type.key === 'FLOAT' && Number(type._length) <= 24 && type._decimals === undefined) return `real ${type.toSql()}`
  return type.toSql()
}

/** `null`: there is no column. Types that are not named here can be shown, but only the database can compare them. */
const fieldTypes: Readonly<Record<string, FieldType | null>> = {
  STRING: 'string',
  CHAR: 'string',
  TEXT: 'string',
  CITEXT: 'string',
  UUID: 'string',
  ENUM: 'string',
  TIME: 'string',
  DATEONLY: 'string',
  TINYINT: 'integer',
  SMALLINT: 'integer',
  MEDIUMINT: 'integer',
  INTEGER: 'integer',
  BIGINT: 'bigint',
  FLOAT: 'number',
  REAL: 'number',
  DOUBLE: 'number',
  'DOUBLE PRECISION': 'number',
  DECIMAL: 'decimal',
  BOOLEAN: 'boolean',
  DATE: 'date',
  BLOB: 'bytes',
  VIRTUAL: null,
}

/** What an attribute of this type holds; `undefined` if it has no column. */
function fieldTypeOf(type: AttributeType): FieldType | undefined {
  if ((type.key === 'STRING' || type.key === 'CHAR') && /bytea/i.test(type.toSql())) return 'bytes'
  const known = fieldTypes[type.key]
  return known === null ? undefined : (known ?? 'json')
}
