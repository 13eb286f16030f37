import { fakeClock } from '@rtapi/testing'
import { QueryTypes, UniqueConstraintError } from 'sequelize'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { rtapiSequelize } from '../src/index.ts'
import { type DatabaseName, missing, openDatabase } from './support/databases.ts'
import { type Watched, watch } from './support/recording.ts'

const everywhere: readonly DatabaseName[] = ['sqlite', 'postgres', 'mariadb', 'mysql']

describe.each(everywhere)('on %s', async (name) => {
  const reason = await missing(name)
  describe.skipIf(reason !== undefined)(reason ?? 'the outbox', () => {
    let at: Watched
    beforeAll(async () => {
      // Sequelize warns of each commit that fails.
      vi.spyOn(console, 'warn').mockImplementation(() => {})
      // Time stands still: nothing is removed, and nothing announced again.
      at = await watch(name, { rtapi: { outbox: { clock: fakeClock() } } })
    })
    afterAll(async () => {
      vi.restoreAllMocks()
      at.live.stop()
      await at.close()
    })
    afterEach(async () => {
      await at.clear()
      await at.other.query('delete from rtapi_outbox')
      at.announced()
      at.reports.length = 0
    })

    async function rows(): Promise<unknown[]> {
      const text = 'select changes from rtapi_outbox order by id'
      const found = await at.other.query<{ changes: string }>(text, { type: QueryTypes.SELECT })
      return found.map(({ changes }) => JSON.parse(changes) as unknown)
    }
    const change = (entity: string, key: number, action: string) => ({ entity, key, action })
    const shelf = (id: number) => ({ id, name: `shelf ${id}` })
    const stored = async () =>
      (await at.otherModels.Shelf.findAll({ order: [['id', 'ASC']] })).map((found) => found.get('id') as number)

    test('a transaction is kept with its keys, what is rolled back is not', async () => {
      const { Shelf } = at.models
      await at.sequelize.transaction(async (transaction) => {
        await Shelf.create(shelf(1), { transaction })
        await Shelf.create(shelf(2), { transaction })
        expect(await rows()).toEqual([])
      })
      const both = [change('Shelf', 1, 'create'), change('Shelf', 2, 'create')]
      expect(await rows()).toEqual([both])
      const undone = at.sequelize.transaction(async (transaction) => {
        await Shelf.create(shelf(3), { transaction })
        throw new Error('no')
      })
      await expect(undone).rejects.toThrow('no')
      expect(await rows()).toEqual([both])
      expect(at.announced()).toEqual(['create Shelf 1', 'create Shelf 2'])
    })

    test('what is written outside of any transaction is kept as it is announced, and answers as ever', async () => {
      const { Shelf } = at.models
      const made = await Shelf.create(shelf(1))
      expect(made.get('id')).toBe(1)
      expect(await Shelf.update({ name: 'new' }, { where: { id: 1 } })).toEqual([1])
      expect(await Shelf.update({ name: 'new' }, { where: { id: 99 } })).toEqual([0])
      expect(await Shelf.destroy({ where: { id: 1 } })).toBe(1)
      await at.sequelize.query(`insert into shelf (id, name) values (2, 'a')`)
      const kept = await rows()
      expect(kept.slice(0, 2)).toEqual([[change('Shelf', 1, 'create')], [change('Shelf', 1, 'update')]])
      expect(kept.at(-1)).toEqual([{ entity: 'Shelf' }])
      expect(kept).toHaveLength(at.batches.length)
      expect(await stored()).toEqual([2])
    })

    test('statements that are sent at once', async () => {
      const { Shelf } = at.models
      await Promise.all([1, 2, 3, 4, 5].map((id) => Shelf.create(shelf(id))))
      expect(await stored()).toEqual([1, 2, 3, 4, 5])
      expect(await rows()).toHaveLength(5)
    })

    test('errors are those of Sequelize', async () => {
      const { Shelf, Item } = at.models
      await Shelf.create(shelf(1))
      await expect(Shelf.create(shelf(1))).rejects.toThrow(UniqueConstraintError)
      await expect(Item.create({ id: 1, shelfId: 404 })).rejects.toThrow(/foreign key/i)
      await expect(at.sequelize.query('insert into shelf (id) values (1, 2, 3)')).rejects.toThrow()
      expect(await rows()).toHaveLength(1)
      expect(at.announced()).toEqual(['create Shelf 1'])
    })

    test('where the row cannot be written nothing is stored, and everything goes on when it can', async () => {
      const { Shelf } = at.models
      await at.other.query('alter table rtapi_outbox rename to hidden')
      const whole = at.sequelize.transaction((transaction) => Shelf.create(shelf(1), { transaction }))
      await expect(whole).rejects.toThrow(/rtapi_outbox/)
      await expect(Shelf.create(shelf(2))).rejects.toThrow(/rtapi_outbox/)
      await expect(at.sequelize.query(`insert into shelf (id, name) values (3, 'a')`)).rejects.toThrow(/rtapi_outbox/)
      expect(await stored()).toEqual([])
      expect(at.announced()).toEqual([])
      await at.other.query('alter table hidden rename to rtapi_outbox')
      await Shelf.create(shelf(4))
      await at.sequelize.transaction((transaction) => Shelf.create(shelf(5), { transaction }))
      expect(await stored()).toEqual([4, 5])
      expect(await rows()).toHaveLength(2)
    })

    if (name === 'postgres') {
      test('a commit that fails leaves no row, nor one that PostgreSQL turns into a rollback', async () => {
        const { Shelf, Item } = at.models
        await Shelf.create(shelf(1))
        const failed = at.sequelize.transaction(async (transaction) => {
          const text = 'alter table item alter constraint item_shelf_id_fkey deferrable initially deferred'
          await at.sequelize.query(text, { transaction })
          await Item.create({ id: 1, shelfId: 404 }, { transaction })
        })
        await expect(failed).rejects.toThrow(/foreign key/i)
        await at.sequelize.transaction(async (transaction) => {
          await Shelf.create(shelf(2), { transaction })
          await Shelf.create(shelf(2), { transaction }).catch(() => {})
        })
        expect(await rows()).toEqual([[change('Shelf', 1, 'create')]])
        expect(await stored()).toEqual([1])
      })
    }

    if (name === 'mariadb' || name === 'mysql') {
      test('what MariaDB commits by itself is kept by then', async () => {
        const { Shelf, Mark } = at.models
        await at.sequelize.transaction(async (transaction) => {
          await Shelf.create(shelf(1), { transaction })
          await at.sequelize.query('create table lasting (id integer)', { transaction })
          expect(await rows()).toEqual([[change('Shelf', 1, 'create')]])
          await at.sequelize.query('drop table lasting', { transaction })
        })
        await at.other.query('delete from rtapi_outbox')
        await Mark.truncate()
        expect((await rows())[0]).toEqual([{ entity: 'Mark' }])
      })
    }

    test('its own statements are nobody else’s', async () => {
      await at.models.Shelf.create(shelf(1))
      const before = at.live.uncaptured()
      expect(await at.live.outbox?.lag()).toEqual({ waiting: 1, oldest: expect.any(Number) as number, parked: 0 })
      await at.live.outbox?.install()
      expect(at.live.uncaptured()).toEqual(before)
      expect(at.reports).toEqual([])
    })
  })
})

test('without its table the source does not start, and says what to run', async () => {
  const database = await openDatabase('sqlite')
  const live = rtapiSequelize(database.sequelize, { report: () => {}, outbox: true })
  await expect(live.changes().start(() => true)).rejects.toThrow(live.outbox?.schema ?? 'none')
  live.stop()
  await database.close()
})
