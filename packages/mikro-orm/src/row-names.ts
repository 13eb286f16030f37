import type { EntityMetadata, Platform } from '@mikro-orm/core'
import type { FieldType, Json, Key } from '@rtapi/core'
import { type Dialect, NoWireValue } from '@rtapi/sql'
import type { EntityShape, Field } from './entity-shape.ts'
import { keyOfKnown } from './record.ts'
import { columnOfField } from './table-columns.ts'
import { fromDatabase, toWire } from './wire-value.ts'

/** A record that changes with a row. */
export interface NamedRecord {
  readonly entity: string
  readonly key: Key
  /** The row is the record, and not only part of a relation of it. */
  readonly own: boolean
}

/** A record whose key is in a row: the fields that make it up, in order. */
interface Part {
  readonly entity: string
  readonly key: readonly Field[]
  readonly own: boolean
}

/** Whether MikroORM has made the entity for a many-to-many relation: its rows are no records. */
export function isMadePivot({ pivotTable, className, tableName, schema }: EntityMetadata): boolean {
  return pivotTable === true && (className === tableName || className === `${schema ?? ''}.${tableName}`)
}

/**
 * Names the records that change with a row of a table: the record itself, and of a pivot table those on both sides of
 * the relation.
 */
export class RowNames {
  readonly #parts: readonly Part[]
  readonly #platform: Platform
  readonly #dialect: Dialect
  readonly #aliases: ReadonlyMap<Field, string>

  private constructor(parts: readonly Part[], platform: Platform, dialect: Dialect) {
    this.#parts = parts
    this.#platform = platform
    this.#dialect = dialect
    const fields = new Set(parts.flatMap(({ key }) => key))
    this.#aliases = new Map([...fields].map((field, i) => [field, `__rtapi${i}`]))
  }

  /** Answers `undefined` where the records cannot be named: rows of several tables, relations to composite keys. */
  static of(shape: EntityShape, platform: Platform, dialect: Dialect): RowNames | undefined {
    const { meta, key, entity } = shape
    if (meta.inheritanceType === 'tpt' || meta.tptParent !== undefined) return undefined
    const parts: Part[] = []
    if (!isMadePivot(meta)) {
      if (key === undefined) return undefined
      parts.push({ entity, key, own: true })
    }
    for (const relation of meta.pivotTable === true ? meta.relations : []) {
      const field = [...shape.fields.values()].find(({ property }) => property === relation)
      if (field === undefined || relation.targetMeta === undefined) return undefined
      parts.push({ entity: relation.targetMeta.root.className, key: [field], own: false })
    }
    return parts.length === 0 ? undefined : new RowNames(parts, platform, dialect)
  }

  /** The columns that `ofRow` needs, each under a name that no other column has. */
  columns(table?: string): readonly string[] {
    return [...this.#aliases].map(([field, alias]) => {
      const name = columnNameOf(field)
      const quoted = this.#platform.quoteIdentifier(table === undefined ? name : `${table}.${name}`)
      const converted = field.holder.customType?.convertToJSValueSQL?.(quoted, this.#platform)
      const read = converted ?? this.#dialect.readColumn(columnOfField(field, quoted))
      return `${read} as ${this.#platform.quoteIdentifier(alias)}`
    })
  }

  /** Whether a write of these columns may change which records a row belongs to. */
  areAmong(columns: object): boolean {
    return [...this.#aliases.keys()].some((field) => columnNameOf(field) in columns)
  }

  /** Whether these are at least the columns of the key. */
  isKeyAmong(columns: readonly unknown[]): boolean {
    const own = this.#parts.find((part) => part.own)
    return own?.key.every((field) => columns.includes(columnNameOf(field))) === true
  }

  /**
   * The records of a row that was read with `columns`; `undefined` if one cannot be named.
   * @param written - values in the form of the database, by their columns, that were written to it since.
   */
  ofRow(row: Readonly<Record<string, unknown>>, written: object = {}): readonly NamedRecord[] | undefined {
    return this.#named((field, alias) => {
      const column = columnNameOf(field)
      return this.#fromDatabase(field, column in written ? (Reflect.get(written, column) as unknown) : row[alias])
    })
  }

  /** The records of a row of which the database was given these values, by their columns. */
  ofColumns(values: object): readonly NamedRecord[] | undefined {
    return this.#named((field) => this.#fromDatabase(field, Reflect.get(values, columnNameOf(field)) as unknown))
  }

  /**
   * The records of each inserted row.
   * @param first - the key that the database has generated, of one row or of the first.
   */
  ofInserted(rows: readonly object[], first: unknown): readonly (readonly NamedRecord[] | undefined)[] {
    const [generated, ...others] = this.#parts.flatMap(({ key, own }) => (own ? key : []))
    const [row] = rows
    if (row === undefined || rows.length > 1 || generated === undefined || others.length > 0) {
      return rows.map((one) => this.ofColumns(one))
    }
    const column = columnNameOf(generated)
    const isGenerated = generated.property.autoincrement === true && Number(Reflect.get(row, column) ?? 0) === 0
    return [this.ofColumns(isGenerated ? { ...row, [column]: first } : row)]
  }

  /** The records of a row with these values in wire form, by the names of the fields. */
  ofKnown(known: Readonly<Record<string, unknown>>): readonly NamedRecord[] | undefined {
    return this.#named(({ name }) => known[name])
  }

  /** Takes out of a row what `columns` has put in. */
  strip(row: Record<string, unknown>): void {
    for (const alias of this.#aliases.values()) Reflect.deleteProperty(row, alias)
  }

  #fromDatabase({ holder }: Field, value: unknown): unknown {
    // A fragment of SQL is an object; what it comes to only the database knows.
    return typeof value === 'object' && value !== null && !(value instanceof Uint8Array)
      ? undefined
      : fromDatabase(holder, value, this.#platform)
  }

  #named(valueOf: (field: Field, alias: string) => unknown): readonly NamedRecord[] | undefined {
    const records: NamedRecord[] = []
    for (const { entity, key: fields, own } of this.#parts) {
      const values = fields.map((field) => valueOf(field, this.#aliases.get(field) ?? ''))
      // Nobody is on this side of the relation.
      if (!own && values.every((value) => value === null)) continue
      const known = fields.map(({ name, type }, i) => [name, keyPart(type, values[i])] as const)
      const key = keyOfKnown({ key: fields }, Object.fromEntries(known))
      if (key === undefined) return undefined
      records.push({ entity, key, own })
    }
    return records
  }
}

function columnNameOf({ property }: Field): string {
  return property.fieldNames[0] ?? ''
}

function keyPart(type: FieldType, value: unknown): Json {
  if (value === undefined) return null
  try {
    return toWire(type, value)
  } catch (error) {
    if (error instanceof NoWireValue) return null
    throw error
  }
}
