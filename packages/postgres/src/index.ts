export type { DatabaseAddress } from './database-link.ts'
export type { LiveColumn, LiveTable, OutboxOptions } from './live-table.ts'
export { installOutbox, removeOutbox } from './outbox-setup.ts'
export { outboxRemovalSql, outboxSql } from './outbox-sql.ts'
export { type CaptureStatus, type OutboxLag, type OutboxStatus, outboxStatus } from './outbox-status.ts'
export { type PostgresSource, type PostgresSourceOptions, postgresSource } from './postgres-source.ts'
export type { RelayStats } from './relay.ts'
export type { LogStats } from './log-reader.ts'
export type { ReplicationOptions } from './replication-place.ts'
export { installReplication, removeReplication } from './replication-setup.ts'
export { type ReplicationSource, type ReplicationSourceOptions, replicationSource } from './replication-source.ts'
export { replicationRemovalSql, replicationSql } from './replication-sql.ts'
export {
  type PublishedTable,
  type ReplicationStatus,
  type SlotStatus,
  replicationStatus,
} from './replication-status.ts'
export { SetupError, type SetupErrorCode } from './setup-error.ts'
export { type StoreTableOptions, storeTable } from './store-table.ts'
export { transactionId } from './transaction-changes.ts'
