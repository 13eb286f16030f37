import type { Store } from '@rtapi/core'
import type { LiveColumn, LiveTable } from './live-table.ts'

/** Where the records of a store are kept. */
export interface StoreTableOptions extends Pick<LiveTable, 'table' | 'schema'> {
  /**
   * The fields that route changes: those of `groups`, of scopes that hang on the record (`dependsOn`), and of session
   * rules.
   * @default []
   */
  readonly fields?: readonly string[]
  /** The columns of fields, or how a field's name becomes that of its column. @default the same names */
  readonly columns?: Readonly<Record<string, string>> | ((field: string) => string)
}

/**
 * Describes the table of a store, so that what is announced has the entity's name, the form of the key and the types that
 * the store has. Name the columns where they are called otherwise than the fields.
 * @throws TypeError for a field that the store does not have.
 */
export function storeTable(store: Pick<Store, 'entity' | 'describe'>, options: StoreTableOptions): LiveTable {
  const { table, schema, fields = [], columns = {} } = options
  const { key, fields: described } = store.describe()
  const column = (field: string): LiveColumn => {
    const type = described[field]?.type
    if (type === undefined) throw new TypeError(`the store of '${store.entity}' has no field '${field}'`)
    return { column: typeof columns === 'function' ? columns(field) : (columns[field] ?? field), type }
  }
  const [first, ...others] = key
  if (first === undefined) throw new TypeError(`the store of '${store.entity}' has no key`)
  return {
    table,
    ...(schema === undefined ? {} : { schema }),
    entity: store.entity,
    key: [column(first), ...others.map(column)],
    fields: Object.fromEntries(fields.map((field) => [field, column(field)])),
  }
}
