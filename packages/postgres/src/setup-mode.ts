import type { ClientBase } from 'pg'
import { type LiveTable, type OutboxOptions, tableName } from './live-table.ts'
import { installOutbox, removeOutbox } from './outbox-setup.ts'
import { outboxRemovalSql, outboxSql } from './outbox-sql.ts'
import { outboxStatus } from './outbox-status.ts'

/** What the command installs: the default export of its configuration file. */
export interface SetupConfig extends OutboxOptions {
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
