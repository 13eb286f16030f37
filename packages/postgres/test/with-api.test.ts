import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { type PostgresSource, installOutbox, postgresSource, storeTable } from '../src/index.ts'
import { type TestDatabase, missing, openDatabase } from './support/database.ts'
import { NoteStore, noteTable } from './support/note-store.ts'
import { psql } from './support/psql.ts'
import { until } from './support/until.ts'
import { untilEmpty } from './support/watched-source.ts'
import { watchNotes } from './support/watching-api.ts'

// The machine may be busy.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

const reason = await missing()
describe.skipIf(reason !== undefined)(reason ?? 'an API over PostgreSQL', () => {
  let database: TestDatabase
  const columns = (field: string) => field.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
  const describeTables = (store: NoteStore) => [storeTable(store, { table: 'notes', fields: ['topicId'], columns })]

  function source(store: NoteStore): PostgresSource {
    return postgresSource({ connection: database.url, tables: describeTables(store), poll: 50 })
  }

  beforeAll(async () => {
    database = await openDatabase(noteTable)
    await installOutbox(await database.connect(), describeTables(new NoteStore(database.pool)))
  })
  afterAll(async () => database.close())

  test('what psql writes arrives in a live view, and moves between groups', async () => {
    const { client, view, converge, reports } = await watchNotes(database, { changes: (store) => [source(store)] })
    const [seven, eight] = [
      await client.subscribe({ resource: 'notes', where: { topicId: 7 } }),
      await client.subscribe({ resource: 'notes', where: { topicId: 8 } }),
    ]
    await psql(database.url, "insert into notes values (1, 7, 'one'), (2, 7, 'two')")
    await converge()
    await seven.until((rows) => rows.length === 2)
    await psql(database.url, 'update notes set topic_id = 8 where id = 1')
    await eight.until((rows) => rows.length === 1)
    await seven.until((rows) => rows.length === 1)
    await psql(database.url, 'truncate notes')
    await view.until((rows) => rows.length === 0)
    await eight.until((rows) => rows.length === 0)
    expect(view.resets).toEqual([])
    expect(reports).toEqual([])
  })

  test('beside a source that announces at once, a write is in the view before its reply, and is sent once', async () => {
    const { client, view, converge } = await watchNotes(database, {
      changes: (store) => [store.changes(), source(store)],
    })
    const data = { id: 5, topicId: 7, text: 'five' }
    const reply = await client.request({ resource: 'notes', action: 'create', data })
    if (!reply.ok) throw new Error('the note was not created')
    expect(reply).not.toHaveProperty('pending')
    expect(view.rows).toEqual([data])
    await untilEmpty(database)
    await psql(database.url, "insert into notes values (6, 7, 'six')")
    await converge()
    const sent = view.log.flatMap((message) => (message.type === 'changes' ? message.changes : []))
    expect(sent.filter(({ key }) => key === 5)).toMatchObject([{ action: 'create', tx: reply.tx }])
    await database.pool.query('delete from notes')
    await view.until((rows) => rows.length === 0)
  })

  test('alone, it lets the reply to a write say that views may not contain it yet', async () => {
    const { client, view } = await watchNotes(database, { changes: (store) => [source(store)] })
    const data = { id: 7, topicId: 7, text: 'seven' }
    expect(await client.request({ resource: 'notes', action: 'create', data })).toMatchObject({
      ok: true,
      pending: true,
    })
    await view.until((rows) => rows.length === 1)
    await database.pool.query('delete from notes')
    await view.until((rows) => rows.length === 0)
  })

  test('a view shows what was written while nobody announced', async () => {
    const store = new NoteStore(database.pool)
    await psql(database.url, "insert into notes values (8, 7, 'eight')")
    const { converge } = await watchNotes(database, { changes: () => [source(store)] })
    await converge()
    await until('the outbox to be read', async () => (await database.rows('select from rtapi.outbox')).length === 0)
  })
})
