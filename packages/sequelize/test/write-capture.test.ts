import { type ChangeBatch, everything } from '@rtapi/core'
import { thing } from '@rtapi/testing'
import { DataTypes, literal } from 'sequelize'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { rtapiSequelize } from '../src/index.ts'
import type { QueryDialect } from '../src/query-tap.ts'
import { type DatabaseName, missing } from './support/databases.ts'
import { type Watched, watch } from './support/recording.ts'

const everywhere: readonly DatabaseName[] = ['sqlite', 'postgres', 'mariadb', 'mysql']

describe.each(everywhere)('on %s', async (name) => {
  const reason = await missing(name)
  describe.skipIf(reason !== undefined)(reason ?? 'captures', () => {
    let at: Watched
    beforeAll(async () => {
      at = await watch(name)
    })
    afterAll(async () => at.close())
    afterEach(async () => {
      await at.clear()
      at.announced()
    })

    test('of a new record is known what was written, and what the database answers', async () => {
      const given = { id: 1, text: 'a', done: true, version: 1, price: '1.50', total: '9007199254740993' }
      await at.models.Thing.create(given)
      const after = at.change('Thing', 1)?.after
      expect(after).toMatchObject({ ...given, price: '1.5' })
      // Only PostgreSQL hands back the columns that were not given: elsewhere they may have a default.
      expect(after?.['owner']).toBe(name === 'postgres' ? null : undefined)
      await at.models.Thing.create({ ...given, id: 2, version: literal('1 + 1'), code: literal("'x'") })
      const second = at.change('Thing', 2)?.after
      expect([second?.['version'], second?.['code']]).toEqual(name === 'postgres' ? [2, 'x'] : [undefined, undefined])
    })

    test('a date that the column rounds is not known', async () => {
      await at.models.Thing.create({ ...thing({ id: 1 }), price: '1.23456789' })
      expect(at.change('Thing', 1)?.after?.['price']).toBe(
        name === 'postgres' ? '1.234568' : name === 'sqlite' ? '1.23456789' : undefined,
      )
    })

    test('what an instance held when it was loaded is not taken for what the record held', async () => {
      await at.models.Thing.create(thing({ id: 1, text: 'a', owner: 'ann' }))
      const loaded = await at.models.Thing.findByPk(1, { rejectOnEmpty: true })
      await at.otherModels.Thing.update({ owner: 'bob' }, { where: { id: 1 } })
      at.announced()
      await loaded.update({ text: 'b' })
      expect(at.change('Thing', 1)).toMatchObject({ action: 'update', before: { id: 1 }, after: { id: 1, text: 'b' } })
      expect(at.change('Thing', 1)?.after).not.toHaveProperty('owner')
      at.announced()
      await loaded.destroy()
      expect(at.change('Thing', 1)).toEqual({
        type: 'change',
        entity: 'Thing',
        key: 1,
        action: 'delete',
        before: { id: 1 },
      })
    })

    test('of a record that the store has locked all is known', async () => {
      const store = at.live.store(at.models.Thing)
      const before = thing({ id: 1, text: 'a', owner: 'ann' })
      await store.create(before)
      at.announced()
      await store.update(1, { owner: 'bob' }, everything)
      expect(at.change('Thing', 1)).toMatchObject({ before, after: { ...before, owner: 'bob' } })
      at.announced()
      await store.delete(1, everything)
      expect(at.change('Thing', 1)).toMatchObject({ action: 'delete', before: { ...before, owner: 'bob' } })
    })

    test('statements that are not captured are counted, and each kind is reported once', async () => {
      const before = at.live.uncaptured().find(({ statement }) => statement === 'update things')?.count ?? 0
      at.reports.splice(0)
      for (let i = 0; i < 3; i++) await at.sequelize.query('update things set done = done')
      await at.sequelize
        .transaction(async (transaction) => {
          await at.sequelize.query('update things set done = done', { transaction })
          throw new Error('undone')
        })
        .catch(() => {})
      const counted = at.live.uncaptured().find(({ statement }) => statement === 'update things')
      expect(counted).toEqual({ statement: 'update things', count: before + 3, as: 'coarse' })
      expect(at.announced()).toEqual(['coarse Thing', 'coarse Thing', 'coarse Thing'])
      expect(at.reports.map(({ during }) => during)).toEqual(before === 0 ? ['sequelize.uncaptured'] : [])
    })

    test.skipIf(name === 'sqlite')('statements that hide what they write are counted as missed', async () => {
      await at.sequelize.query(name === 'postgres' ? 'do $$ begin delete from things; end $$' : 'do sleep(0)')
      expect(at.announced()).toEqual([])
      expect(at.live.uncaptured()).toContainEqual({ statement: 'do', count: 1, as: 'missed' })
    })

    test('a raw update announces what refers to a key only if it may change the key', async () => {
      await at.models.Shelf.create({ id: 1 })
      await at.models.Item.create({ id: 1, shelfId: 1 })
      at.announced()
      await at.sequelize.query("update shelf set name = 'a' where id = 1")
      expect(at.announced()).toEqual(['coarse Shelf'])
      await at.sequelize.query('update shelf set id = 2 where id = 1')
      expect(at.announced().toSorted()).toEqual(['coarse Item', 'coarse Note', 'coarse Sample', 'coarse Shelf'])
    })

    test('texts as keys are those of the records, however the condition writes them', async () => {
      const { Sample } = at.models
      await Sample.create({ name: 'a', memo: 'x' })
      at.announced()
      await Sample.update({ memo: 'y' }, { where: { name: 'A' } })
      const found = await at.otherModels.Sample.findByPk('a', { rejectOnEmpty: true })
      const isMysql = name === 'mariadb' || name === 'mysql'
      expect(found.get('memo')).toBe(isMysql ? 'y' : 'x')
      expect(at.announced()).toEqual(isMysql ? ['update Sample "a"'] : [])
      await found.reload()
      await (await Sample.findByPk('A'))?.update({ memo: 'z' })
      expect(at.announced()).toEqual(isMysql ? ['update Sample "a"'] : [])
    })

    test('models that are defined later', async () => {
      const Later = at.sequelize.define('Later', { text: DataTypes.STRING }, { timestamps: false })
      const Child = at.sequelize.define('Child', {}, { timestamps: false })
      await Later.sync()
      await Later.create({ id: 1 })
      Child.belongsTo(Later, { onDelete: 'CASCADE' })
      await Child.sync()
      await Child.create({ id: 1, LaterId: 1 })
      expect(at.change('Child', 1)?.after).toEqual({ id: 1, LaterId: 1 })
      expect(at.announced()).toEqual(['create Later 1', 'create Child 1'])
      await at.sequelize.query(`delete from ${at.sequelize.getQueryInterface().quoteIdentifier('Laters')}`)
      expect(at.announced()).toEqual(['coarse Later', 'coarse Child'])
    })

    test('scoped classes are the model they are made of', async () => {
      const { Ticket } = at.models
      const made = await Ticket.unscoped().create({ id: 1, state: 'open' })
      await Ticket.unscoped().update({ owner: 'a' }, { where: { id: 1 } })
      await made.destroy()
      expect(at.announced()).toEqual(['create Ticket 1', 'update Ticket 1', 'delete Ticket 1'])
    })

    test('a bulk insert of which each row is there already', async () => {
      const { Thing } = at.models
      await Thing.create(thing({ id: 1 }))
      at.announced()
      await Thing.bulkCreate([{ ...thing({ id: 1 }) }], { ignoreDuplicates: true })
      expect(at.announced()).toEqual([])
    })

    test('a statement that was carried out, and whose answer cannot be read', async () => {
      const { dialect } = at.other as unknown as { dialect: QueryDialect }
      class Unreadable extends dialect.Query {
        override async run(sql: string, parameters?: unknown): Promise<unknown> {
          const result = await super.run(sql, parameters)
          if (/^(insert|commit)/i.test(sql)) throw new TypeError('unreadable')
          return result
        }
      }
      dialect.Query = Unreadable
      const live = rtapiSequelize(at.other, { report: () => {} })
      const batches: ChangeBatch[] = []
      await live.changes().start((batch) => void batches.push(batch))
      await expect(at.otherModels.Shelf.create({ id: 1 })).rejects.toThrow('unreadable')
      expect(await at.models.Shelf.count()).toBe(1)
      expect(batches.flatMap(({ changes }) => changes)).toEqual([{ type: 'coarse', entity: 'Shelf' }])
      live.stop()
      Reflect.deleteProperty(dialect, 'Query')
    })

    test('two sources of one Sequelize, one of which stops', async () => {
      const batches: ChangeBatch[] = []
      const second = rtapiSequelize(at.sequelize, { report: () => {} })
      await second.changes().start((batch) => void batches.push(batch))
      await at.models.Shelf.create({ id: 1 })
      expect(batches.map(({ changes }) => changes)).toEqual(at.batches.map(({ changes }) => changes))
      second.stop()
      await at.models.Shelf.create({ id: 2 })
      expect(batches).toHaveLength(1)
      expect(at.announced()).toEqual(['create Shelf 1', 'create Shelf 2'])
    })

    test('results and arguments of Sequelize stay as they are', async () => {
      const { Shelf, Thing } = at.models
      const [plain, watched] = [at.otherModels.Shelf, Shelf]
      for (const [i, model] of [plain, watched].entries()) {
        const options = { where: { id: i + 1 } }
        expect((await model.create({ id: i + 1, name: 'a' })).get('name')).toBe('a')
        expect(await model.update({ name: 'b' }, options)).toEqual([1])
        expect(options).toEqual({ where: { id: i + 1 } })
        expect(await model.destroy(options)).toBe(1)
      }
      const [, created] = await Thing.findOrCreate({ where: { id: 5 }, defaults: { ...thing({ id: 5 }) } })
      expect(created).toBe(true)
      await expect(Thing.create({ id: 6 })).rejects.toThrow('Thing.text cannot be null')
    })
  })
})

test('what was loaded is trusted if the application says so', async () => {
  const at = await watch('sqlite', { rtapi: { trustLoaded: true } })
  await at.models.Thing.create(thing({ id: 1, owner: 'ann' }))
  const loaded = await at.models.Thing.findByPk(1, { rejectOnEmpty: true })
  at.announced()
  await loaded.update({ text: 'b' })
  expect(at.change('Thing', 1)).toMatchObject({
    before: { owner: 'ann', text: '' },
    after: { owner: 'ann', text: 'b' },
  })
  await at.close()
})

test.each([
  ['postgres', '+05:30'],
  ['mariadb', '+05:30'],
  ['mariadb', 'Asia/Kolkata'],
  ['mysql', 'Asia/Kolkata'],
] as const)('dates on %s in the time zone %s', async (name, timezone) => {
  if ((await missing(name)) !== undefined) return
  const at = await watch(name, { sequelize: { timezone } })
  const store = at.live.store(at.models.Thing)
  const happenedAt = '2026-01-31T12:00:00.123Z'
  await at.models.Thing.create({ ...thing({ id: 1 }), happenedAt: new Date(happenedAt) })
  expect(at.change('Thing', 1)?.after?.['happenedAt']).toBe(happenedAt)
  const where = { type: 'compare', field: 'happenedAt', operator: 'eq', value: happenedAt } as const
  expect(await store.find({ where, order: [['id', 'asc', 'integer']] })).toMatchObject([{ id: 1, happenedAt }])
  await at.close()
})
