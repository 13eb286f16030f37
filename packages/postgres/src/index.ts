export type { LiveColumn, LiveTable, OutboxOptions } from './live-table.ts'
export {
  type CaptureStatus,
  installOutbox,
  type OutboxLag,
  type OutboxStatus,
  outboxStatus,
  removeOutbox,
} from './outbox-setup.ts'
export { outboxRemovalSql, outboxSql } from './outbox-sql.ts'
export { transactionId } from './outbox-transaction.ts'
export { type PostgresSource, type PostgresSourceOptions, postgresSource } from './postgres-source.ts'
export { OutboxError } from './relay-session.ts'
export type { RelayStats } from './relay.ts'
