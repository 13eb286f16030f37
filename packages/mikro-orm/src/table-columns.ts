import { type EntityProperty, type Platform, ReferenceKind, Type } from '@mikro-orm/core'
import type { Column, Dialect } from '@rtapi/sql'
import { type EntityShape, type Field, fieldTypeOf } from './entity-shape.ts'

/** The columns of an entity's table: those of its fields by their names, and what a query has to select. */
export class TableColumns {
  /** What to select to make rows. */
  readonly shown: readonly string[]
  /** What to select to make entities that are to be written: hidden columns too, but not the lazy ones. */
  readonly all: readonly string[]
  /** A statement that writes to the table and changes nothing. */
  readonly touch: string
  /** Some fields are made of several columns, or of one that holds an object. */
  readonly hasEmbedded: boolean
  readonly #columns = new Map<string, Column>()

  constructor(shape: EntityShape, platform: Platform, dialect: Dialect, alias: string) {
    const quote = (name: string): string => platform.quoteIdentifier(`${alias}.${name}`)
    const read = (property: EntityProperty, name: string): string => {
      const column = columnOf(property, property, quote(name), platform)
      const converted = property.customType?.convertToJSValueSQL?.(column.sql, platform)
      return `${converted ?? dialect.readColumn(column)} as ${platform.quoteIdentifier(name)}`
    }
    const stored = shape.meta.props.filter(
      ({ persist, formula, lazy, kind, owner, fieldNames, object, embedded }) =>
        persist !== false &&
        formula === undefined &&
        lazy !== true &&
        fieldNames?.length > 0 &&
        (kind === ReferenceKind.SCALAR ||
          kind === ReferenceKind.MANY_TO_ONE ||
          (kind === ReferenceKind.ONE_TO_ONE && owner) ||
          (kind === ReferenceKind.EMBEDDED && object === true && embedded === undefined)),
    )
    for (const field of shape.fields.values()) {
      const { name, property } = field
      const [first = ''] = property.fieldNames
      const parts =
        property.kind === ReferenceKind.EMBEDDED && property.object !== true ? leavesOf(property) : undefined
      const column = columnOfField(field, quote(first))
      this.#columns.set(name, parts === undefined ? column : { ...column, parts: parts.map(quote) })
    }
    this.all = [...new Set(stored.flatMap((property) => property.fieldNames.map((name) => read(property, name))))]
    const [keyColumn = ''] = shape.meta.getPrimaryProps().flatMap(({ fieldNames }) => fieldNames)
    const key = platform.quoteIdentifier(keyColumn)
    const { schema, tableName } = shape.meta
    const table = schema === undefined || schema === '*' ? tableName : `${schema}.${tableName}`
    this.touch = `update ${platform.quoteIdentifier(table)} set ${key} = ${key} where 1 = 0`
    this.hasEmbedded = [...shape.fields.values()].some(({ property }) => property.kind === ReferenceKind.EMBEDDED)
    const shownProperties = new Set([...shape.fields.values()].map(({ property }) => property))
    const shown = this.hasEmbedded ? stored : stored.filter((property) => shownProperties.has(property))
    this.shown = [...new Set(shown.flatMap((property) => property.fieldNames.map((name) => read(property, name))))]
  }

  /** The column of a field; `undefined` if there is no such field, or no one column of it. */
  of(field: string): Column | undefined {
    return this.#columns.get(field)
  }

  /** Whether the property has a type of the application's own. */
  isForeign({ customType }: EntityProperty): boolean {
    return customType !== undefined && Type.getOrmType(customType.constructor) === undefined
  }
}

/** The columns of an embedded object that is spread over several. */
function leavesOf({ embeddedProps }: EntityProperty): string[] {
  return Object.values(embeddedProps).flatMap((property) =>
    property.kind === ReferenceKind.EMBEDDED && property.object !== true ? leavesOf(property) : property.fieldNames,
  )
}

function columnOf(property: EntityProperty, holder: EntityProperty, sql: string, platform: Platform): Column {
  const isScalar = property.kind === ReferenceKind.SCALAR
  const target = isScalar ? holder : targetOf(property)
  return describe(target, { sql, type: fieldTypeOf(target, platform), nullable: property.nullable === true })
}

/** What a dialect has to know of the column of a field. */
export function columnOfField({ holder, type, nullable }: Field, sql: string): Column {
  return describe(holder, { sql, type, nullable })
}

function describe(
  { columnTypes, scale, collation }: EntityProperty,
  column: Pick<Column, 'sql' | 'type' | 'nullable'>,
): Column {
  return { ...column, declared: columnTypes[0] ?? '', scale, collation }
}

function targetOf(property: EntityProperty): EntityProperty {
  const [key] = property.targetMeta?.primaryKeys ?? []
  const target = key === undefined ? undefined : property.targetMeta?.properties[key]
  return target === undefined || target.kind !== ReferenceKind.SCALAR ? property : target
}
