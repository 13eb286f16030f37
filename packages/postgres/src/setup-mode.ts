import type { ClientBase } from 'pg'
import { type LiveTable, type OutboxOptions, tableName } from './live-table.ts'
import { installOutbox, removeOutbox } from './outbox-setup.ts'
import { outboxRemovalSql, outboxSql } from './outbox-sql.ts'
import { outboxStatus } from './outbox-status.ts'
import type { ReplicationOptions } from './replication-place.ts'
import { installReplication, removeReplication } from './replication-setup.ts'
import { replicationRemovalSql, replicationSql } from './replication-sql.ts'
import { replicationStatus } from './replication-status.ts'

/** What the command installs: the default export of its configuration file. */
export interface SetupConfig extends OutboxOptions, ReplicationOptions {
  readonly tables: readonly LiveTable[]
}

/** How something stands, for people, and whether all is as it should be. */
interface StatusReport {
  readonly lines: readonly string[]
  readonly ok: boolean
}

/** One way to hear of changes, as the command sets it up. */
export interface SetupMode {
  readonly name: string
  sql(config: SetupConfig): string
  removalSql(config: SetupConfig): string
  install(client: ClientBase, config: SetupConfig): Promise<void>
  remove(client: ClientBase, config: SetupConfig): Promise<void>
  status(client: ClientBase, config: SetupConfig): Promise<StatusReport>
}

/** By triggers that fill an outbox. */
export const triggerMode: SetupMode = {
  name: 'triggers',
  sql: (config) => outboxSql(config.tables, config),
  removalSql: outboxRemovalSql,
  install: (client, config) => installOutbox(client, config.tables, config),
  remove: removeOutbox,
  async status(client, config) {
    const { outbox, tables, lag } = await outboxStatus(client, config.tables, config)
    return {
      lines: [
        `outbox: ${outbox ? 'installed' : 'missing'}`,
        ...tables.map((table) => `${tableName(table)}: ${table.state}`),
        `waiting: ${lag.rows} rows, the oldest for ${lag.age} ms`,
      ],
      ok: outbox && tables.every(({ state }) => state === 'installed'),
    }
  },
}

/** From the log, by logical replication. */
export const replicationMode: SetupMode = {
  name: 'replication',
  sql: (config) => replicationSql(config.tables, config),
  removalSql: replicationRemovalSql,
  install: (client, config) => installReplication(client, config.tables, config),
  remove: removeReplication,
  async status(client, config) {
    const { publication, tables, slot } = await replicationStatus(client, config.tables, config)
    const state = slot === undefined ? 'missing' : `${slot.active ? 'active' : 'idle'}, its log is ${slot.log}`
    return {
      lines: [
        `publication: ${publication ? 'installed' : 'missing'}`,
        ...tables.map((table) => `${tableName(table)}: ${table.state}`),
        `slot: ${state}`,
        ...(slot === undefined ? [] : [`waiting: ${slot.lag} bytes of the log`]),
      ],
      ok:
        publication &&
        tables.every(({ state: found }) => found === 'installed') &&
        slot !== undefined &&
        slot.log !== 'lost',
    }
  },
}
