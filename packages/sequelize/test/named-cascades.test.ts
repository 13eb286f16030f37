import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { type DatabaseName, missing } from './support/databases.ts'
import { type Watched, watch } from './support/recording.ts'

const everywhere: readonly DatabaseName[] = ['sqlite', 'postgres', 'mariadb', 'mysql']

describe.each(everywhere)('on %s', async (name) => {
  const reason = await missing(name)
  describe.skipIf(reason !== undefined)(reason ?? 'what the database writes with a record is named', () => {
    let at: Watched
    beforeAll(async () => {
      at = await watch(name, { rtapi: { cascades: 'named', coarseKeys: 20 } })
    })
    afterAll(async () => at.close())
    afterEach(async () => {
      await at.clear()
      at.announced()
    })

    async function fill(): Promise<void> {
      const { Shelf, Item, Mark, Note, Box, Label, BoxLabel } = at.otherModels
      await Shelf.bulkCreate([1, 2].map((id) => ({ id, name: 'a' })))
      await Item.bulkCreate([1, 2, 3].map((id) => ({ id, shelfId: id === 3 ? 2 : 1 })))
      await Mark.bulkCreate([1, 2, 3].map((id) => ({ id, itemId: id })))
      await Note.bulkCreate([1, 2].map((id) => ({ id, shelfId: id })))
      await Label.bulkCreate([{ id: 1 }, { id: 2 }])
      await Box.bulkCreate([{ id: 1 }, { id: 2 }])
      await BoxLabel.bulkCreate([
        { boxId: 1, labelId: 1 },
        { boxId: 2, labelId: 2 },
      ])
    }

    const ofShelf1 = [
      'delete Item 1',
      'delete Item 2',
      'delete Mark 1',
      'delete Mark 2',
      'delete Shelf 1',
      'update Note 1',
    ]
    const ofBoth = [...ofShelf1, 'delete Item 3', 'delete Mark 3', 'delete Shelf 2', 'update Note 2'].toSorted()
    const inTransaction = async (work: (options: object) => Promise<unknown>) =>
      at.sequelize.transaction(async (transaction) => void (await work({ transaction })))

    test('with an instance, in a transaction', async () => {
      await fill()
      await inTransaction(async (options) => {
        const shelf = await at.models.Shelf.findByPk(1, { ...options, rejectOnEmpty: true })
        await shelf.destroy(options)
      })
      expect(at.announced().toSorted()).toEqual(ofShelf1)
    })

    test('by a condition, in a transaction', async () => {
      await fill()
      await inTransaction(async (options) => at.models.Shelf.destroy({ where: { name: 'a' }, ...options }))
      expect(at.announced().toSorted()).toEqual(ofBoth)
    })

    test('without a transaction, where one can be begun for that', async () => {
      await fill()
      expect(await at.models.Shelf.destroy({ where: { id: 1 } })).toBe(1)
      const coarse = ['coarse Item', 'coarse Mark', 'coarse Note', 'coarse Sample', 'delete Shelf 1']
      expect(at.announced().toSorted()).toEqual(name === 'sqlite' ? coarse : ofShelf1)
      const shelf = await at.models.Shelf.findByPk(2, { rejectOnEmpty: true })
      await shelf.destroy()
      const rest = ofBoth.filter((change) => !ofShelf1.includes(change))
      const isSqlite = name === 'sqlite'
      expect(at.announced().toSorted()).toEqual(isSqlite ? [...coarse.slice(0, 4), 'delete Shelf 2'] : rest)
      expect(await at.models.Item.count()).toBe(0)
    })

    test('rows of a through table are changes of both of its ends', async () => {
      await fill()
      await inTransaction(async (options) => at.models.Box.destroy({ where: { id: 1 }, ...options }))
      expect(at.announced().toSorted()).toEqual(['delete Box 1', 'delete BoxLabel [1,1]', 'update Label 1'])
    })

    test('a changed key', async () => {
      await fill()
      await inTransaction(async (options) => at.models.Shelf.update({ id: 9 }, { where: { id: 1 }, ...options }))
      expect(at.announced().toSorted()).toEqual([
        'create Shelf 9',
        'delete Shelf 1',
        'update Item 1',
        'update Item 2',
        'update Note 1',
      ])
    })

    test('of more records than are named, all', async () => {
      await at.otherModels.Shelf.create({ id: 1 })
      await at.otherModels.Item.bulkCreate(Array.from({ length: 21 }, (_, id) => ({ id: id + 1, shelfId: 1 })))
      await inTransaction(async (options) => at.models.Shelf.destroy({ where: { id: 1 }, ...options }))
      expect(at.announced().toSorted()).toEqual([
        'coarse Item',
        'coarse Mark',
        'coarse Note',
        'coarse Sample',
        'delete Shelf 1',
      ])
    })

    test('what is rolled back is not announced, and errors are those of the statement', async () => {
      await fill()
      await at.sequelize
        .transaction(async (transaction) => {
          await at.models.Shelf.destroy({ where: { id: 1 }, transaction })
          throw new Error('undone')
        })
        .catch(() => {})
      const wrong = { where: { nothing: 1 } as never }
      const errors = await Promise.all([
        at.models.Shelf.destroy(wrong).catch((error: unknown) => error),
        at.otherModels.Shelf.destroy(wrong).catch((error: unknown) => error),
      ])
      expect(textOf(errors[0])).toEqual(textOf(errors[1]))
      expect(at.announced()).toEqual([])
      // The connection is fit for use again.
      expect(await at.models.Shelf.count()).toBe(2)
    })
  })
})

function textOf(error: unknown): unknown {
  const { name, message, sql } = error as Error & { readonly sql?: string }
  return { name, message: message.replace(/conn:\d+/, 'conn'), sql }
}
