import { type ChangeSource, type Clock, type Report, systemClock } from '@rtapi/core'
import type { DatabaseAddress } from './database-link.ts'
import { type LiveTable, type OutboxOptions, capturesOf, outboxPlace } from './live-table.ts'
import type { OutboxLag } from './outbox-status.ts'
import { positive } from './positive.ts'
import { Relay, type RelayStats } from './relay.ts'

/** How a source is set up. Every process of an API may run one over the same outbox. */
export interface PostgresSourceOptions extends OutboxOptions {
  /**
   * Where the database is, as `pg` takes it. The source needs a connection of its own, on which it listens: to the primary,
   * and not through a pooler that shares connections between transactions.
   */
  readonly connection: DatabaseAddress
  /** What is announced; the same as was installed. */
  readonly tables: readonly LiveTable[]
  /** Milliseconds between two looks without a wake-up. @default 500 */
  readonly poll?: number
  /** Rows that are read at once. @default 500 */
  readonly batch?: number
  /**
   * Milliseconds for which a row may stay in the outbox until another process announces it, though the one that leads is
   * connected. @default 5_000
   */
  readonly takeover?: number
  /** Milliseconds without being able to announce anything after which `report` hears of it. @default 30_000 */
  readonly alarmAfter?: number
  /** @default systemClock */
  readonly clock?: Clock
  /** Hears of failures that nobody waits for: once of each outage, and of one that lasts. @default nobody is told */
  readonly report?: Report
}

/** A change source from triggers of PostgreSQL. */
export interface PostgresSource extends ChangeSource {
  /**
   * What has been committed and not announced.
   * @throws RtapiError `unavailable` while the database is not connected.
   */
  lag(): Promise<OutboxLag>
  stats(): RelayStats
}

/**
 * Announces every committed change of these tables, whoever made it: other programs, `psql`, triggers and cascades too.
 * Triggers, which `rtapi-postgres install` or `outboxSql` installs, write it into an outbox within its transaction; this
 * source announces what it finds there, and forgets it when the channel layer has taken it.
 *
 * `start` rejects if the triggers are not installed, and waits for a database that is not there.
 * @throws TypeError if a table is described in a way that cannot be.
 */
export function postgresSource(options: PostgresSourceOptions): PostgresSource {
  const { connection, tables, clock = systemClock, report = () => undefined } = options
  capturesOf(tables)
  const relay = new Relay({
    connection,
    tables,
    place: outboxPlace(options),
    poll: positive('poll', options.poll ?? 500),
    batch: positive('batch', options.batch ?? 500),
    takeover: positive('takeover', options.takeover ?? 5_000),
    alarmAfter: positive('alarmAfter', options.alarmAfter ?? 30_000),
    clock,
    report,
  })
  return {
    late: true,
    start: (emit) => relay.start(emit),
    stop: () => relay.stop(),
    lag: () => relay.lag(),
    stats: () => relay.stats(),
  }
}
