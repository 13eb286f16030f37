import { type ChangeSource, type Clock, type Report, systemClock } from '@rtapi/core'
import type { DatabaseAddress } from './database-link.ts'
import { type LiveTable, capturesOf } from './live-table.ts'
import { LogReader, type LogStats } from './log-reader.ts'
import { positive } from './positive.ts'
import { type ReplicationOptions, replicationPlace } from './replication-place.ts'
import type { SlotStatus } from './replication-status.ts'

/** How a source is set up. Every process of an API may run one over the same slot: one reads, the others wait. */
export interface ReplicationSourceOptions extends ReplicationOptions {
  /**
   * Where the database is, as `pg` takes it, with a role that may replicate. The source needs two connections of its own:
   * to the primary, and not through a pooler.
   */
  readonly connection: DatabaseAddress
  /** What is announced; the same as was installed. */
  readonly tables: readonly LiveTable[]
  /** Milliseconds between two looks at the slot: whether it is free, and how far it is behind. @default 1_000 */
  readonly poll?: number
  /** Milliseconds without being able to announce anything after which `report` hears of it. @default 30_000 */
  readonly alarmAfter?: number
  /** Bytes that the slot may be behind until `report` hears of it. @default 256 MiB */
  readonly alarmLag?: number
  /** @default systemClock */
  readonly clock?: Clock
  /** Hears of failures that nobody waits for: once of each outage, and of one that lasts. @default nobody is told */
  readonly report?: Report
}

/** A change source from the log of PostgreSQL. */
export interface ReplicationSource extends ChangeSource {
  /**
   * How the slot stands, and how much of the log waits.
   * @throws RtapiError `unavailable` while the database is not connected.
   */
  lag(): Promise<SlotStatus>
  stats(): LogStats
}

/**
 * Announces every committed change of these tables, whoever made it, from the log of the database by logical replication
 * (`pgoutput`): writers are left alone. The server keeps in its log what the channel layer has not taken.
 *
 * `start` rejects if the tables are not published, and waits for a database that is not there.
 * @throws TypeError if a table is described in a way that cannot be.
 */
export function replicationSource(options: ReplicationSourceOptions): ReplicationSource {
  const { connection, tables, clock = systemClock, report = () => undefined } = options
  capturesOf(tables)
  const reader = new LogReader({
    connection,
    tables,
    place: replicationPlace(options),
    poll: positive('poll', options.poll ?? 1_000),
    alarmAfter: positive('alarmAfter', options.alarmAfter ?? 30_000),
    alarmLag: positive('alarmLag', options.alarmLag ?? 256 * 1_024 * 1_024),
    clock,
    report,
  })
  return {
    late: true,
    start: (emit) => reader.start(emit),
    stop: () => reader.stop(),
    lag: () => reader.lag(),
    stats: () => reader.stats(),
  }
}
