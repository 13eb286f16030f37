export type { UncapturedStatement } from '@rtapi/sql'
export { type EntityFilters } from './orm-store.ts'
export * from './rtapi-mikro-orm.ts'
export { type StoreRow, type WireData, type WireRow, type WireValue } from './wire-row.ts'
