import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { type RedisServer, startRedis } from '../../../test/services/redis.ts'
import { redisLayer } from '@rtapi/redis'
import { type LiveTable, installOutbox, installReplication } from '../src/index.ts'
import type { CrashTask } from './support/crash-task.ts'
import { type TestDatabase, missing, openDatabase } from './support/database.ts'
import { type DoomedProcess, startDoomed } from './support/doomed-process.ts'
import { noteTable } from './support/note-store.ts'
import { until } from './support/until.ts'
import { untilEmpty } from './support/watched-source.ts'
import { type TestSlot, freshSlot } from './support/slots.ts'
import { freshPrefix, watchNotes } from './support/watching-api.ts'

const tables: readonly LiveTable[] = [{ table: 'notes', entity: 'Note', key: ['id'], fields: { topicId: 'topic_id' } }]

// The machine may be busy.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

const reason = await missing()
describe.skipIf(reason !== undefined).each(['triggers', 'replication'] as const)(
  'whatever is killed, nothing is lost: %s',
  (mode) => {
    let database: TestDatabase
    let redis: RedisServer
    let prefix: string
    const slot: TestSlot = freshSlot()
    beforeAll(async () => {
      database = await openDatabase(noteTable)
      redis = await startRedis()
      const client = await database.connect()
      await (mode === 'triggers'
        ? installOutbox(client, tables)
        : installReplication(client, tables, { slot: slot.name }))
    })
    beforeEach(async () => {
      prefix = freshPrefix()
      await database.pool.query('delete from notes')
      await (mode === 'triggers' ? database.pool.query('delete from rtapi.outbox') : slot.skip(database))
    })
    afterEach(async () => database.disconnect())
    afterAll(async () => {
      if (mode === 'replication') await slot.drop(database)
      await database.close()
      await redis.stop()
    })

    function startRelay(stop?: Extract<CrashTask, { role: 'relay' }>['stop']): DoomedProcess {
      const from = mode === 'triggers' ? mode : { slot: slot.name }
      const task = { role: 'relay', from, database: database.url, redis: redis.url, prefix, tables } as const
      return startDoomed(stop === undefined ? task : { ...task, stop })
    }

    /** An API in this process that hears of changes only through Redis. */
    async function watch() {
      return watchNotes(database, { layer: redisLayer(redis.url, { prefix, timeout: 10_000 }) })
    }

    /** Whether a commit that ends here is acknowledged: up to the byte before. */
    async function isConfirmed(end: string): Promise<unknown> {
      const [row] = await database.rows<{ confirmed: boolean }>(
        'select confirmed_flush_lsn >= $2::pg_lsn - 1 as confirmed from pg_replication_slots where slot_name = $1',
        [slot.name, end],
      )
      return row?.confirmed
    }

    /** Waits until everything was announced and forgotten. */
    async function untilDone(): Promise<void> {
      await (mode === 'triggers' ? untilEmpty(database) : slot.untilRead(database))
    }

    test('the program that writes, before its commit: nothing is announced', async () => {
      const { view, converge } = await watch()
      await startRelay().said('ready')
      const writer = startDoomed({
        role: 'writer',
        database: database.url,
        sql: "insert into notes values (1, 7, 'never')",
      })
      await writer.said('written')
      await writer.kill()
      await database.pool.query("insert into notes values (2, 7, 'after')")
      await converge()
      expect(JSON.stringify(view.log)).not.toContain('never')
    })

    test('the relay, after a commit and before it has published', async () => {
      const { converge } = await watch()
      const relay = startRelay('before publishing')
      await relay.said('ready')
      await database.pool.query("insert into notes values (1, 7, 'one')")
      await relay.said('stopped')
      await relay.kill()
      await startRelay().said('ready')
      await converge()
      await untilDone()
    })

    test('the relay, between the groups of one change', async () => {
      const { converge } = await watch()
      const relay = startRelay('after publishing')
      await relay.said('ready')
      await database.pool.query("insert into notes values (1, 7, 'one')")
      await relay.said('published')
      await relay.kill()
      await startRelay().said('ready')
      await converge()
      await untilDone()
    })

    if (mode === 'triggers')
      test('the relay, after it has published and before it has forgotten', async () => {
        const { view, converge } = await watch()
        const relay = startRelay()
        await relay.said('ready')
        const holder = await database.connect()
        await holder.query(`
      create function hold() returns trigger language plpgsql as
        $$ begin perform pg_advisory_xact_lock(42); return null; end $$;
      create trigger hold before delete on rtapi.outbox for each statement execute function hold();
      select pg_advisory_lock(42)`)
        await database.pool.query("insert into notes values (1, 7, 'one')")
        await until('the deletion to be held up', async () => {
          const held = await database.rows(
            "select from pg_stat_activity where wait_event = 'advisory' and query ~ '^delete'",
          )
          return held.length > 0
        })
        await relay.said('published')
        await relay.kill()
        await holder.query('drop trigger hold on rtapi.outbox; drop function hold; select pg_advisory_unlock(42)')
        await startRelay().said('ready')
        await converge()
        await untilDone()
        expect(view.resets).toEqual([])
      })

    if (mode === 'replication')
      test('the relay, after it has published and before it has acknowledged', async () => {
        const { view, converge } = await watch()
        // Some groups have it, and the answer for one never comes: nothing is acknowledged.
        const relay = startRelay('after publishing')
        await relay.said('ready')
        await slot.untilActive(database)
        const writer = await database.connect()
        // Reads what the relay reads, to tell where in the log the commit ends: others write to the same one.
        await writer.query("select pg_create_logical_replication_slot('commits', 'pgoutput', true)")
        await writer.query("insert into notes values (1, 7, 'one')")
        const { rows } = await writer.query<{ end: string }>(
          `select max(lsn)::text as end from pg_logical_slot_peek_binary_changes(
             'commits', null, null, 'proto_version', '1', 'publication_names', 'rtapi')`,
        )
        await relay.said('published', 2)
        expect(await isConfirmed(rows[0]?.end ?? '')).toBe(false)
        await relay.kill()
        await startRelay().said('ready')
        await converge()
        await untilDone()
        expect(view.resets).toEqual([])
      })

    test('the relay, in the middle of a big transaction', async () => {
      const { converge } = await watch()
      const relay = startRelay('while reading')
      await relay.said('ready')
      const writer = await database.connect()
      await writer.query('begin')
      const sql = "insert into notes select i, i % 9, 'x' from generate_series($1::int, $1::int + 99) i"
      for (let i = 0; i < 20; i++) await writer.query(sql, [i * 100])
      await writer.query('commit')
      await relay.said('stopped')
      expect(relay.lines).not.toContain('published')
      await relay.kill()
      await startRelay().said('ready')
      await converge()
      await untilDone()
    })

    test('one of two relays after the other, while somebody writes', async () => {
      const { converge } = await watch()
      const relays = [startRelay(), startRelay()]
      const end = new AbortController()
      const writing = (async () => {
        for (let id = 1; !end.signal.aborted; id++) {
          await database.pool.query(`insert into notes values ($1, $1 % 9, 'x')`, [id])
          await database.pool.query(`update notes set topic_id = topic_id + 1 where id = $1 / 2`, [id])
          await database.pool.query(`delete from notes where id = $1 / 3 and id % 2 = 0`, [id])
        }
      })()
      for (let kills = 0; kills < 6; kills++) {
        const [first, second] = relays
        if (first === undefined || second === undefined) throw new Error('two relays run at any time')
        const told = (relay: DoomedProcess) => relay.lines.filter((line) => line === 'published').length
        const before = told(first) + told(second)
        await until('some changes to be published', () => told(first) + told(second) >= before + 20)
        await relays.shift()?.kill()
        relays.push(startRelay())
      }
      end.abort()
      await writing
      await converge()
      await untilDone()
    })
  },
)
