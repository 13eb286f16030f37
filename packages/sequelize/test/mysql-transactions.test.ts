import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { missing } from './support/databases.ts'
import { type Watched, watch } from './support/recording.ts'

/** A meeting of so many: who comes waits for the others. */
function meetingOf(count: number): () => Promise<void> {
  let open: () => void = () => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return async () => {
    count -= 1
    if (count === 0) open()
    await opened
  }
}

describe.each(['mariadb', 'mysql'] as const)('what only MariaDB and MySQL do, by the dialect %s', async (name) => {
  const reason = await missing(name)
  describe.skipIf(reason !== undefined)(reason ?? 'transactions', () => {
    let at: Watched
    beforeAll(async () => {
      // Sequelize warns of a transaction that the database has ended.
      vi.spyOn(console, 'warn').mockImplementation(() => {})
      at = await watch(name)
    })
    afterAll(async () => {
      vi.restoreAllMocks()
      await at.close()
    })
    afterEach(async () => {
      await at.clear()
      at.announced()
    })

    const shelf = (id: number) => ({ id, name: `shelf ${id}` })
    const stored = async () =>
      (await at.otherModels.Shelf.findAll({ order: [['id', 'ASC']] })).map((found) => found.get('id') as number)

    test('a deadlock undoes the whole transaction, whatever it does next', async () => {
      const { Shelf } = at.models
      await Shelf.bulkCreate([1, 2].map(shelf))
      at.announced()
      const meeting = meetingOf(2)
      const work = [1, 2].map(async (id) => {
        const transaction = await at.sequelize.transaction()
        await Shelf.update({ name: `by ${id}` }, { where: { id }, transaction })
        await meeting()
        const won = await Shelf.update({ name: `by ${id}` }, { where: { id: 3 - id }, transaction }).then(
          () => true,
          () => false,
        )
        if (won) await transaction.commit()
        else await transaction.rollback().catch(() => {})
        return won ? id : undefined
      })
      const winners = (await Promise.all(work)).filter((id) => id !== undefined)
      expect(winners).toHaveLength(1)
      expect(at.batches).toHaveLength(1)
      expect(at.announced().toSorted()).toEqual(['update Shelf 1', 'update Shelf 2'])
      const names = (await at.otherModels.Shelf.findAll()).map((one) => one.get('name'))
      expect(new Set(names)).toEqual(new Set([`by ${winners[0]}`]))
    })

    test('what goes on after a deadlock within a savepoint is announced as it is stored', async () => {
      const { Shelf } = at.models
      await Shelf.bulkCreate([1, 2].map(shelf))
      at.announced()
      const meeting = meetingOf(2)
      const work = [1, 2].map(async (id) =>
        at.sequelize.transaction(async (outer) => {
          await Shelf.update({ name: `by ${id}` }, { where: { id }, transaction: outer })
          await meeting()
          await at.sequelize
            .transaction({ transaction: outer }, async (inner) => {
              await Shelf.update({ name: `by ${id}` }, { where: { id: 3 - id }, transaction: inner })
            })
            .catch(() => {})
          // The loser has no transaction any more, and Sequelize does not know.
          await Shelf.create(shelf(10 + id), { transaction: outer })
          throw new Error('undone')
        }),
      )
      await Promise.allSettled(work)
      const made = (await stored()).filter((id) => id > 10)
      expect(made).toHaveLength(1)
      expect(at.announced()).toEqual(made.map((id) => `create Shelf ${id}`))
    })

    test('data definition commits what is open', async () => {
      const { Shelf } = at.models
      const transaction = await at.sequelize.transaction()
      await Shelf.create(shelf(1), { transaction })
      await at.sequelize.query('create or replace view one as select 1', { transaction })
      expect(at.announced()).toEqual(['create Shelf 1'])
      await transaction.rollback()
      expect(await stored()).toEqual([1])
    })
  })
})
