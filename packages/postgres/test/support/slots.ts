import { randomUUID } from 'node:crypto'
import type { TestDatabase } from './database.ts'
import { until } from './until.ts'

/** A replication slot of a test: slots are of the whole server. */
export interface TestSlot {
  readonly name: string
  /** Waits until a source is connected to it. */
  untilActive(database: TestDatabase): Promise<void>
  /** Waits until all that has been committed so far was acknowledged. */
  untilRead(database: TestDatabase): Promise<void>
  /** Forgets all that has been written, once nobody is connected any more. */
  skip(database: TestDatabase): Promise<void>
  /** Removes it, once nobody is connected any more. */
  drop(database: TestDatabase): Promise<void>
}

/** A name for a slot, which is not there yet. */
export function freshSlot(): TestSlot {
  const name = `rtapi_${randomUUID().replaceAll('-', '')}`
  const isSo = (database: TestDatabase, condition: string, values: readonly unknown[] = []) =>
    until(`the slot to be so: ${condition}`, async () => {
      const found = await database.rows(`select from pg_replication_slots where slot_name = $1 and ${condition}`, [
        name,
        ...values,
      ])
      return found.length > 0
    })
  return {
    name,
    async untilActive(database) {
      await isSo(database, 'active')
    },
    async untilRead(database) {
      const [place] = await database.rows<{ lsn: string }>(
        "select pg_logical_emit_message(true, 'test', 'x')::text as lsn",
      )
      await isSo(database, 'confirmed_flush_lsn > $2', [place?.lsn])
    },
    async skip(database) {
      await isSo(database, 'not active')
      await database.pool.query('select pg_replication_slot_advance($1, pg_current_wal_lsn())', [name])
    },
    async drop(database) {
      await database.rows('select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = $1', [
        name,
      ])
      await isSo(database, 'not active')
      await database.pool.query('select pg_drop_replication_slot($1)', [name])
    },
  }
}
