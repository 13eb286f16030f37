import { type ChangeBatch, type Row, allowAny, createApi, defineResource, groupBy } from '@rtapi/core'
import {
  AnnouncedRecords,
  type ProgramSubject,
  type TestView,
  connect,
  runRandomProgram,
  seedsFrom,
  thing,
} from '@rtapi/testing'
import { type Model, type ModelStatic, Sequelize, type Transaction } from 'sequelize'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { type RtapiSequelize, rtapiSequelize } from '../src/index.ts'
import { namespace } from './support/cls-namespace.ts'
import { type DatabaseName, type TestDatabase, missing, openDatabase } from './support/databases.ts'
import type { TestModels } from './support/models.ts'
import { type ProgramWriter, programSteps } from './support/program-steps.ts'

const databases: readonly DatabaseName[] = ['sqlite', 'postgres', 'mariadb', 'mysql']
const allSeeds = seedsFrom(process.env['SEEDS'], [8, 9, 14])
const everywhere = databases.flatMap((name) => [
  { name, outbox: false, seeds: allSeeds },
  { name, outbox: true, seeds: allSeeds.slice(0, Math.ceil(allSeeds.length / 2)) },
])
const watched = ['Thing', 'Shelf', 'Item', 'Mark', 'Note', 'Box', 'Label', 'BoxLabel', 'Draft', 'Sample'] as const
const MINUTES = 60_000

/** What each table holds: of each record, by its key, the text of its row. */
type Contents = ReadonlyMap<string, ReadonlyMap<string, string>>

interface Subject extends TestDatabase {
  readonly live: RtapiSequelize
  readonly views: readonly Expected[]
  readonly batches: ChangeBatch[]
  readonly reports: unknown[]
  announced: AnnouncedRecords
}

/** A view, and what it shows by the database. */
interface Expected {
  readonly view: TestView
  readonly fields: readonly string[]
  rows(): Promise<readonly Row[]>
}

describe.each(everywhere)('on $name, outbox $outbox', async ({ name, outbox, seeds }) => {
  const reason = await missing(name)
  describe.skipIf(reason !== undefined)(reason ?? 'random programs', () => {
    let watchedHere: Subject
    let alone: TestDatabase
    beforeAll(async () => {
      // Sequelize warns of each commit that fails.
      vi.spyOn(console, 'warn').mockImplementation(() => {})
      watchedHere = await openWatched(name, outbox)
      alone = await openImpatient(name)
    })
    afterEach(() => Reflect.deleteProperty(Sequelize, '_cls'))
    afterAll(async () => {
      vi.restoreAllMocks()
      await Promise.all([watchedHere.close(), alone.close()])
    })

    test.each(seeds)(
      'seed %i: nothing is missed, and nothing is otherwise than without the adapter',
      async (seed) => {
        if (seed % 2 === 0) Sequelize.useCLS(namespace())
        await Promise.all([begin(watchedHere, name), begin(alone, name)])
        const check = checker(watchedHere)
        await check.begin()
        const [log, plain] = [
          await runRandomProgram(
            subjectOf(watchedHere, { name, committed: () => check.afterwards(`seed ${seed}`) }),
            seed,
          ),
          await runRandomProgram(subjectOf(alone, { name }), seed),
        ]
        expect(log.join('\n')).toBe(plain.join('\n'))
        expect(await contentsOf(watchedHere)).toEqual(await contentsOf(alone))
      },
      MINUTES,
    )

    test.each(seeds.slice(0, Math.ceil(seeds.length / 2)))(
      'seed %i: two writers at once',
      async (seed) => {
        await begin(watchedHere, name)
        const check = checker(watchedHere, { anyOrder: true })
        await check.begin()
        const subject = subjectOf(watchedHere, { name, separate: false })
        await Promise.all([runRandomProgram(subject, seed), runRandomProgram(subject, seed + 1_000_003)])
        await check.afterwards(`seed ${seed}`)
      },
      MINUTES,
    )
  })
})

function subjectOf(
  { sequelize, models }: TestDatabase,
  options: { readonly name: DatabaseName; readonly separate?: boolean; readonly committed?: () => Promise<void> },
): ProgramSubject<ProgramWriter> {
  const isLocal = Reflect.get(Sequelize, '_cls') !== undefined
  const { committed } = options
  return {
    steps: programSteps,
    writer: () => ({ sequelize, models, options: {} }),
    async transaction(writer, kind, work) {
      const parent = kind === 'nested' ? (writer.options.transaction ?? current()) : undefined
      const given = parent === undefined ? { transaction: null } : { transaction: parent }
      await sequelize.transaction(given as object, async (transaction) =>
        work({ sequelize, models, options: isLocal ? {} : { transaction } }),
      )
    },
    // MariaDB and MySQL lock deleted records too, until they are purged some time later: what waits for what is chance.
    separate: options.separate ?? options.name === 'postgres',
    ...(committed && { committed }),
  }
}

function current(): Transaction | undefined {
  const cls = Reflect.get(Sequelize, '_cls') as { get(key: string): Transaction | undefined } | undefined
  return cls?.get('transaction')
}

/** Compares, when all is committed, what was announced and what the views show with what the tables hold. */
function checker(subject: Subject, options: { readonly anyOrder?: boolean } = {}) {
  let before: Contents
  return {
    async begin() {
      subject.batches.length = 0
      subject.announced = new AnnouncedRecords(async (entity, key) => {
        const model = subject.otherModels[entity as keyof TestModels]
        const parts = Array.isArray(key) ? key : [key]
        const where = Object.fromEntries(model.primaryKeyAttributes.map((attribute, i) => [attribute, parts[i]]))
        return (await model.count({ where, paranoid: false, transaction: null })) > 0
      }, options)
      before = await contentsOf(subject)
    },
    async afterwards(what: string) {
      const after = await contentsOf(subject)
      const announced = new Set(
        subject.batches
          .splice(0)
          .flatMap(({ changes }) =>
            changes.map((change) =>
              change.type === 'coarse' ? change.entity : `${change.entity} ${JSON.stringify([change.key].flat())}`,
            ),
          ),
      )
      const missed = differences(before, after).filter(
        ([entity, record]) => !announced.has(entity) && !announced.has(`${entity} ${record}`),
      )
      expect(missed, `${what}: changed, but not announced`).toEqual([])
      expect(await subject.announced.uncommitted(), `${what}: announced, but not committed`).toEqual([])
      expect(subject.reports, `${what}: reported`).toEqual([])
      for (const expected of subject.views) {
        const wanted = await expected.rows()
        const inOrder = (row: Row) => expected.fields.map((field) => row[field])
        const text = JSON.stringify(wanted.map(inOrder))
        await expected.view
          .until((shown) => JSON.stringify(shown.map(inOrder)) === text)
          .catch((error: unknown) => expect(expected.view.rows, `${what}: ${String(error)}`).toEqual(wanted))
      }
      before = after
    },
  }
}

function differences(before: Contents, after: Contents): readonly (readonly [entity: string, record: string])[] {
  return [...after].flatMap(([entity, records]) => {
    const earlier = before.get(entity)
    const keys = new Set([...records.keys(), ...(earlier?.keys() ?? [])])
    return [...keys].filter((key) => records.get(key) !== earlier?.get(key)).map((key) => [entity, key] as const)
  })
}

async function contentsOf({ otherModels }: TestDatabase): Promise<Contents> {
  const contents = new Map<string, ReadonlyMap<string, string>>()
  for (const entity of watched) {
    const model = otherModels[entity]
    const rows = (await model.findAll({ raw: true, paranoid: false, transaction: null })) as unknown as Row[]
    const keyOf = (row: Row) => JSON.stringify(model.primaryKeyAttributes.map((attribute) => row[attribute]))
    // Times differ from run to run.
    const valueOf = (name: string, value: unknown) => (name.endsWith('At') ? (value ?? null) !== null : value)
    contents.set(entity, new Map(rows.map((row) => [keyOf(row), JSON.stringify(row, valueOf)] as const)))
  }
  return contents
}

/** Nobody waits long for a lock that nobody will give. */
async function openImpatient(name: DatabaseName): Promise<TestDatabase> {
  const wait = 'set innodb_lock_wait_timeout = 0'
  const patience = { sqlite: undefined, postgres: "set lock_timeout = '50ms'", mariadb: wait, mysql: wait }[name]
  const send = async (connection: Connection) =>
    new Promise<void>((resolve, reject) => {
      // One driver answers by a promise, the others by a callback.
      const done = (error?: unknown) => (error ? reject(new Error('no patience', { cause: error })) : resolve())
      const answer = connection.query(patience ?? '', done)
      if (answer instanceof Promise) answer.then(() => resolve(), done)
    })
  const hooks =
    patience === undefined ? {} : { afterConnect: async (connection: unknown) => send(connection as Connection) }
  return openDatabase(name, { hooks, pool: { max: 8 } })
}

interface Connection {
  query(sql: string, done: (error?: unknown) => void): unknown
}

async function openWatched(name: DatabaseName, outbox: boolean): Promise<Subject> {
  const database = await openImpatient(name)
  const reports: unknown[] = []
  const live = rtapiSequelize(database.sequelize, {
    coarseKeys: 6,
    cascades: 'named',
    outbox,
    report(error, { during }) {
      // The outbox is as impatient as all others, and comes again.
      if (during !== 'sequelize.uncaptured' && during !== 'sequelize.outbox') reports.push(error)
    },
  })
  await live.outbox?.install()
  const batches: ChangeBatch[] = []
  const { models, otherModels } = database
  const things = defineResource('things', {
    store: live.store(models.Thing),
    permissions: [allowAny],
    groups: groupBy('owner'),
  })
  const items = defineResource('items', {
    store: live.store(models.Item),
    permissions: [allowAny],
    groups: groupBy('shelfId'),
  })
  const drafts = defineResource('drafts', { store: live.store(models.Draft), permissions: [allowAny] })
  const notes = defineResource('notes', { store: live.store(models.Note), permissions: [allowAny] })
  const api = createApi({ resources: [things, items, drafts, notes], changes: [live.changes()] })
  const client = await connect(api)
  const views: Expected[] = []
  const see = async (
    resource: string,
    model: ModelStatic<Model>,
    { where, fields, limit }: { readonly where?: Row; readonly fields: readonly string[]; readonly limit?: number },
  ) => {
    const query = { resource, order: [['id', 'asc']], fields, ...(where && { where }), ...(limit && { limit }) }
    views.push({
      fields,
      view: await client.subscribe(query as never),
      async rows() {
        const found = await model.findAll({
          where: (where ?? {}) as never,
          order: ['id'],
          ...(limit && { limit }),
          transaction: null,
        })
        return found.map((one) => Object.fromEntries(fields.map((field) => [field, one.get(field) as never])))
      },
    })
  }
  const ofThings = ['id', 'owner', 'text', 'version', 'code', 'quantity', 'done']
  await see('things', otherModels.Thing, { fields: ofThings })
  await see('things', otherModels.Thing, { fields: ofThings, where: { owner: 'ann' } })
  await see('things', otherModels.Thing, { fields: ofThings, where: { owner: 'bob' }, limit: 2 })
  await see('things', otherModels.Thing, { fields: ofThings, where: { done: true }, limit: 3 })
  await see('items', otherModels.Item, { fields: ['id', 'shelfId'], where: { shelfId: 1 } })
  await see('items', otherModels.Item, { fields: ['id', 'shelfId'], limit: 4 })
  await see('drafts', otherModels.Draft, { fields: ['id', 'text'] })
  await see('notes', otherModels.Note, { fields: ['id', 'text', 'shelfId'] })
  const subject: Subject = {
    ...database,
    live,
    views,
    batches,
    reports,
    announced: new AnnouncedRecords(async () => true),
    async close() {
      await api.close()
      await database.close()
    },
  }
  await live.changes().start((batch) => {
    batches.push(batch)
    subject.announced.receive(claimsOf(batch, name))
  })
  return subject
}

/**
 * What a batch says of records. Where all of an entity may have changed it says nothing for certain; and on MariaDB and
 * MySQL an update by several keys says of each that it may have been changed, if it was there.
 */
function claimsOf({ tx, changes }: ChangeBatch, name: DatabaseName): ChangeBatch {
  const coarse = new Set(changes.flatMap((change) => (change.type === 'coarse' ? [change.entity] : [])))
  const isMysql = name === 'mariadb' || name === 'mysql'
  const claims = changes.filter((change) => {
    if (change.type === 'coarse') return true
    if (isMysql && change.action === 'update' && change.after === undefined) return false
    return !coarse.has(change.entity)
  })
  return { tx, changes: claims }
}

async function begin(database: TestDatabase, name: DatabaseName): Promise<void> {
  await empty(database, name)
  await fill(database)
}

/** Empties all tables, through the adapter, so that the views hear of it, and begins keys anew. */
async function empty({ sequelize, models }: TestDatabase, name: DatabaseName): Promise<void> {
  const { Mark, Item, Note, Shelf, BoxLabel, Box, Label, Draft, Sample, Thing } = models
  for (const model of [Mark, Item, Note, Sample, Shelf, BoxLabel, Box, Label, Draft, Thing]) {
    await model.destroy({ where: {}, force: true })
  }
  for (const model of [Shelf, Thing]) {
    const table = sequelize.getQueryInterface().quoteIdentifier(model.tableName)
    if (name === 'postgres') await sequelize.query(`alter sequence ${model.tableName}_id_seq restart with 1000`)
    if (name === 'mariadb' || name === 'mysql')
      await untilUnlocked(() => sequelize.query(`alter table ${table} auto_increment = 1000`))
    if (name === 'sqlite') await sequelize.query(`delete from sqlite_sequence where name = '${model.tableName}'`)
  }
}

/** Some records of each kind, so that most calls find what they write to. */
async function fill({ models }: TestDatabase): Promise<void> {
  const { Mark, Item, Note, Shelf, BoxLabel, Box, Label, Draft, Sample, Thing } = models
  const three = [1, 2, 3]
  const owners = ['ann', 'bob', 'cy']
  await Thing.bulkCreate(
    three.map((id) => ({ ...thing({ id, owner: owners[id - 1] ?? null, code: id === 3 ? 'a' : null }), version: id })),
  )
  await Shelf.bulkCreate(three.map((id) => ({ id, name: owners[id - 1] })))
  await Item.bulkCreate(three.map((id) => ({ id, shelfId: id })))
  await Mark.bulkCreate(three.map((id) => ({ id, itemId: id })))
  await Note.bulkCreate(three.map((id) => ({ id, text: 'a', shelfId: id })))
  await Box.bulkCreate(three.map((id) => ({ id })))
  await Label.bulkCreate(three.map((id) => ({ id })))
  await BoxLabel.bulkCreate(three.map((id) => ({ boxId: id, labelId: 1 })))
  await Draft.bulkCreate(three.map((id) => ({ id, text: owners[id - 1] })))
  await Sample.bulkCreate(owners.map((name) => ({ name })))
}

/** Views may still be reading the table. */
async function untilUnlocked(work: () => Promise<unknown>): Promise<void> {
  for (let tries = 100; ; tries--) {
    try {
      await work()
      return
    } catch (error) {
      if (tries === 0) throw error
    }
  }
}
