export { outboxSchema } from '@rtapi/sql'
export type { OutboxControl, OutboxLag, OutboxOptions, UncapturedStatement } from '@rtapi/sql'
export * from './rtapi-sequelize.ts'
export { type StoreRow, type WireData, type WireRow, type WireValue } from './wire-row.ts'
