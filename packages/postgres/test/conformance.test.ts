import { thingFields } from '@rtapi/testing'
import { Client } from 'pg'
import { afterAll, beforeAll, describe, vi } from 'vitest'
import { tryChangeSource } from '../../../test/write-paths/try-change-source.ts'
import { type LiveTable, installOutbox, installReplication, postgresSource, replicationSource } from '../src/index.ts'
import { type TestDatabase, missing, openDatabase } from './support/database.ts'
import { SqlWriter, ddl } from './support/sql-writer.ts'
import { untilEmpty } from './support/watched-source.ts'
import { freshSlot } from './support/slots.ts'
import { writePaths } from './support/write-paths.ts'

const fields = Object.fromEntries(Object.keys(thingFields).map((field) => [field, field]))

const tables: readonly LiveTable[] = [
  { table: 'things', entity: 'things', key: ['id'], fields },
  { table: 'shelf', entity: 'Shelf', key: ['id'] },
  { table: 'item', entity: 'Item', key: ['id'], fields: { shelfId: 'shelf_id' } },
  { table: 'note', entity: 'Note', key: ['id'], fields: { shelfId: 'shelf_id' } },
  { table: 'seat', entity: 'Seat', key: ['shelf_id', 'number'] },
  { table: 'draft', entity: 'Draft', key: ['id'] },
  { table: 'box_labels', entity: 'Box', key: ['box_id'], part: true },
  { table: 'box_labels', entity: 'Label', key: ['label_id'], part: true },
]

// The machine may be busy.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

const reason = await missing()
describe.skipIf(reason !== undefined)(`triggers and outbox${reason === undefined ? '' : ` (${reason})`}`, () => {
  let database: TestDatabase
  beforeAll(async () => {
    database = await openDatabase(ddl)
    const client = new Client(database.url)
    await client.connect()
    await installOutbox(client, tables)
    await client.end()
  })
  afterAll(async () => database.close())

  tryChangeSource('postgres', 'triggers', {
    concurrent: true,
    failingCommit: (writer: SqlWriter) =>
      writer.transaction(async (inner) => {
        await inner.update(1, { text: 'lost' })
        await inner.query('set constraints all deferred')
        await inner.query('insert into item values (1, 404)')
      }),
    paths: writePaths,
    async open() {
      await database.pool.query('truncate things, shelf, item, note, seat, box, label, box_labels, draft')
      // The triggers have written that down.
      await database.pool.query('truncate rtapi.outbox')
      const source = postgresSource({ connection: database.url, tables })
      let isStopped = false
      return {
        source: {
          start: (emit) => source.start(emit),
          async stop() {
            isStopped = true
            await source.stop()
          },
        },
        writer: new SqlWriter(database.pool),
        settle: () => (isStopped ? undefined : untilEmpty(database)),
        readCommitted: async (id) => (await database.rows('select * from things where id = $1', [id]))[0],
      }
    },
  })
})

describe.skipIf(reason !== undefined)(`logical replication${reason === undefined ? '' : ` (${reason})`}`, () => {
  let database: TestDatabase
  const slot = freshSlot()
  beforeAll(async () => {
    database = await openDatabase(ddl)
    // What the log has of rows before they were written, the suite wants to hear.
    for (const { table } of tables) await database.pool.query(`alter table ${table} replica identity full`)
    await installReplication(await database.connect(), tables, { slot: slot.name })
  })
  afterAll(async () => {
    await slot.drop(database)
    await database.close()
  })

  tryChangeSource('postgres', 'replication', {
    concurrent: true,
    failingCommit: (writer: SqlWriter) =>
      writer.transaction(async (inner) => {
        await inner.update(1, { text: 'lost' })
        await inner.query('set constraints all deferred')
        await inner.query('insert into item values (1, 404)')
      }),
    paths: writePaths,
    async open() {
      await database.pool.query('truncate things, shelf, item, note, seat, box, label, box_labels, draft')
      const source = replicationSource({ connection: database.url, tables, slot: slot.name, poll: 50 })
      // What was written before is none of the suite's business.
      await slot.skip(database)
      let isStopped = false
      return {
        source: {
          start: async (emit) => {
            await source.start(emit)
            await slot.untilActive(database)
          },
          async stop() {
            isStopped = true
            await source.stop()
          },
        },
        writer: new SqlWriter(database.pool),
        settle: () => (isStopped ? undefined : slot.untilRead(database)),
        readCommitted: async (id) => (await database.rows('select * from things where id = $1', [id]))[0],
      }
    },
  })
})
