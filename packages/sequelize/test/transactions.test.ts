import { thing } from '@rtapi/testing'
import { Sequelize, Transaction } from 'sequelize'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { namespace } from './support/cls-namespace.ts'
import { type DatabaseName, missing } from './support/databases.ts'
import { type Watched, watch } from './support/recording.ts'

const everywhere: readonly DatabaseName[] = ['sqlite', 'postgres', 'mariadb', 'mysql']

describe.each(everywhere)('on %s', async (name) => {
  const reason = await missing(name)
  describe.skipIf(reason !== undefined)(reason ?? 'transactions', () => {
    let at: Watched
    beforeAll(async () => {
      // Sequelize warns of each commit that fails.
      vi.spyOn(console, 'warn').mockImplementation(() => {})
      at = await watch(name)
    })
    afterAll(async () => {
      vi.restoreAllMocks()
      await at.close()
    })
    afterEach(async () => {
      Reflect.deleteProperty(Sequelize, '_cls')
      await at.clear()
      at.announced()
    })

    const shelf = (id: number) => ({ id, name: `shelf ${id}` })
    const stored = async () =>
      (await at.otherModels.Shelf.findAll({ order: [['id', 'ASC']] })).map((found) => found.get('id') as number)

    test('a savepoint that is done, and an outer transaction that is undone: nothing', async () => {
      const { Shelf } = at.models
      const undone = at.sequelize.transaction(async (outer) => {
        await at.sequelize.transaction({ transaction: outer }, async (inner) => {
          await Shelf.create(shelf(1), { transaction: inner })
          inner.afterCommit(() => expect(at.announced()).toEqual([]))
        })
        expect(at.announced()).toEqual([])
        throw new Error('outer')
      })
      await expect(undone).rejects.toThrow('outer')
      expect(await stored()).toEqual([])
      expect(at.announced()).toEqual([])
    })

    test('a savepoint that is undone, and an outer transaction that is done', async () => {
      const { Shelf } = at.models
      await at.sequelize.transaction(async (outer) => {
        await Shelf.create(shelf(1), { transaction: outer })
        await at.sequelize
          .transaction({ transaction: outer }, async (inner) => {
            await Shelf.create(shelf(2), { transaction: inner })
            await Shelf.update({ name: 'lost' }, { where: { id: 1 }, transaction: inner })
            throw new Error('inner')
          })
          .catch(() => {})
        await Shelf.create(shelf(3), { transaction: outer })
      })
      expect(await stored()).toEqual([1, 3])
      expect(at.announced()).toEqual(['create Shelf 1', 'create Shelf 3'])
    })

    test('savepoints within savepoints: what is announced is what the database has kept', async () => {
      // Sequelize gives the inner of two savepoints the name of the outer, and so undoes less than it is told to.
      const { Shelf } = at.models
      await at.sequelize.transaction(async (outer) => {
        await Shelf.create(shelf(1), { transaction: outer })
        await at.sequelize
          .transaction({ transaction: outer }, async (middle) => {
            await Shelf.create(shelf(2), { transaction: middle })
            await at.sequelize.transaction({ transaction: middle }, async (inner) => {
              await Shelf.create(shelf(3), { transaction: inner })
            })
            await Shelf.create(shelf(4), { transaction: middle })
            throw new Error('middle')
          })
          .catch(() => {})
      })
      expect(at.announced()).toEqual((await stored()).map((id) => `create Shelf ${id}`))
    })

    test('an unmanaged transaction, committed or rolled back', async () => {
      const { Shelf } = at.models
      const first = await at.sequelize.transaction()
      await Shelf.create(shelf(1), { transaction: first })
      expect(at.announced()).toEqual([])
      await first.rollback()
      expect(at.announced()).toEqual([])

      const second = await at.sequelize.transaction()
      const made = await Shelf.create(shelf(2), { transaction: second })
      await made.update({ name: 'new' }, { transaction: second })
      expect(at.announced()).toEqual([])
      await second.commit()
      expect(at.change('Shelf', 2)?.after).toEqual({ id: 2, name: 'new' })
      expect(at.announced()).toEqual(['create Shelf 2'])
      expect(await stored()).toEqual([2])
    })

    test('a transaction that travels by continuation-local storage', async () => {
      Sequelize.useCLS(namespace())
      const { Shelf, Note } = at.models
      await at.sequelize.transaction(async () => {
        await Shelf.create(shelf(1))
        await Note.bulkCreate([{ id: 1, shelfId: 1 }])
        await at.sequelize.query("update shelf set name = 'raw' where id = 1")
        await Note.update({ text: 'a' }, { where: { id: 1 } })
        expect(at.announced()).toEqual([])
        // What a store writes is a transaction of its own.
        if (name !== 'sqlite') {
          await at.live.store(at.models.Thing).create(thing({ id: 1 }))
          expect(at.announced()).toEqual(['create Thing 1'])
          expect(await at.live.store(Shelf).read([1])).toEqual([])
        }
      })
      expect(at.announced()).toEqual(['coarse Shelf', 'create Shelf 1', 'create Note 1'])
      await expect(
        at.sequelize.transaction(async () => {
          await Shelf.create(shelf(2))
          throw new Error('undone')
        }),
      ).rejects.toThrow('undone')
      expect(at.announced()).toEqual([])
      await Shelf.create(shelf(3))
      expect(at.announced()).toEqual(['create Shelf 3'])
    })

    test('a function that fails after the commit hides nothing of what is stored', async () => {
      const { Shelf } = at.models
      const failing = at.sequelize.transaction(async (transaction) => {
        transaction.afterCommit(() => {
          throw new Error('thrown after the commit')
        })
        await Shelf.create(shelf(1), { transaction })
      })
      await expect(failing).rejects.toThrow('thrown after the commit')
      expect(await stored()).toEqual([1])
      expect(at.announced()).toEqual(['create Shelf 1'])
    })

    test.each(['afterCreate', 'afterSave'] as const)('a hook that fails in %s', async (hook) => {
      const { Shelf } = at.models
      Shelf.addHook(hook, 'fails', () => {
        throw new Error(`thrown in ${hook}`)
      })
      try {
        await expect(
          at.sequelize.transaction(async (transaction) => void (await Shelf.create(shelf(1), { transaction }))),
        ).rejects.toThrow(`thrown in ${hook}`)
        expect(await stored()).toEqual([])
        expect(at.announced()).toEqual([])
        // Without a transaction the record is there before the hook is.
        await expect(Shelf.create(shelf(2))).rejects.toThrow(`thrown in ${hook}`)
        expect(await stored()).toEqual([2])
        expect(at.announced()).toEqual(['create Shelf 2'])
      } finally {
        Shelf.removeHook(hook, 'fails')
      }
    })

    test('what hooks write takes part, and comes in the order in which it was written', async () => {
      const { Shelf, Note } = at.models
      Shelf.addHook('afterCreate', 'notes', async (made, { transaction }) => {
        await Note.create({ id: made.get('id'), shelfId: made.get('id') }, { transaction: transaction ?? null })
      })
      try {
        await at.sequelize.transaction(async (transaction) => {
          await Shelf.create(shelf(1), { transaction })
          await Shelf.create(shelf(2), { transaction })
          await Note.update({ text: 'last' }, { where: { id: 1 }, transaction })
        })
        expect(at.batches).toHaveLength(1)
        expect(at.announced()).toEqual(['create Shelf 1', 'create Shelf 2', 'create Note 2', 'create Note 1'])
        await Shelf.create(shelf(3))
        expect(at.announced()).toEqual(['create Shelf 3', 'create Note 3'])
      } finally {
        Shelf.removeHook('afterCreate', 'notes')
      }
    })

    test('what is announced after a statement has failed is what is stored', async () => {
      // PostgreSQL answers the commit of a failed transaction with success, and rolls back.
      const { Shelf } = at.models
      await Shelf.create(shelf(1))
      at.announced()
      await at.sequelize
        .transaction(async (transaction) => {
          await Shelf.create(shelf(2), { transaction })
          await Shelf.create(shelf(1), { transaction }).catch(() => {})
        })
        .catch(() => {})
      const announced = at.announced()
      expect(announced).toEqual((await stored()).includes(2) ? ['create Shelf 2'] : [])
      expect(announced).toHaveLength(name === 'postgres' ? 0 : 1)
    })

    test('a read that fails spoils the transaction where it does', async () => {
      const { Shelf } = at.models
      const work = at.sequelize.transaction(async (transaction) => {
        await Shelf.create(shelf(1), { transaction })
        await at.sequelize.query('select * from nothing_of_this_name', { transaction }).catch(() => {})
      })
      await work.catch(() => {})
      expect(at.announced()).toEqual((await stored()).map((id) => `create Shelf ${id}`))
    })

    test('a savepoint saves the transaction from a statement that fails', async () => {
      const { Shelf } = at.models
      await Shelf.create(shelf(1))
      at.announced()
      await at.sequelize.transaction(async (outer) => {
        await Shelf.create(shelf(2), { transaction: outer })
        await at.sequelize
          .transaction(
            { transaction: outer },
            async (inner) => void (await Shelf.create(shelf(1), { transaction: inner })),
          )
          .catch(() => {})
        await Shelf.create(shelf(3), { transaction: outer })
      })
      expect(await stored()).toEqual([1, 2, 3])
      expect(at.announced()).toEqual(['create Shelf 2', 'create Shelf 3'])
    })

    test('findOrCreate of a key that another transaction has just taken', async () => {
      const { Shelf } = at.models
      const work = at.sequelize.transaction(async (transaction) => {
        await Shelf.create(shelf(2), { transaction })
        // It is not there when it is looked for, and is there when it is to be made.
        Shelf.addHook('beforeCreate', 'first', async () => {
          Shelf.removeHook('beforeCreate', 'first')
          if (name !== 'sqlite') await at.otherModels.Shelf.create(shelf(1))
        })
        await Shelf.findOrCreate({ where: { id: 1 }, transaction, defaults: { name: 'mine' } })
      })
      await work.catch(() => {})
      // PostgreSQL finds within a function that the key is taken, and the transaction goes on.
      if (name === 'postgres') expect(await stored()).toEqual([1, 2])
      const mine = (await stored()).filter((id) => id !== 1 || name === 'sqlite')
      expect(at.announced().toSorted()).toEqual(mine.map((id) => `create Shelf ${id}`).toSorted())
    })

    test.runIf(name === 'postgres')(
      'a commit that fails announces nothing, though its callbacks are called',
      async () => {
        const { Item, Shelf } = at.models
        await at.sequelize.query('alter table item alter constraint item_shelf_id_fkey deferrable initially deferred')
        const called: unknown[] = []
        const work = at.sequelize.transaction(async (transaction) => {
          transaction.afterCommit(() => void called.push(Reflect.get(transaction, 'finished')))
          await Shelf.create(shelf(1), { transaction })
          await Item.create({ id: 1, shelfId: 404 }, { transaction })
        })
        await expect(work).rejects.toThrow(/foreign key/)
        expect(called).toEqual(['commit'])
        expect(await stored()).toEqual([])
        expect(at.announced()).toEqual([])
        await Shelf.create(shelf(2))
        expect(at.announced()).toEqual(['create Shelf 2'])
      },
    )

    test('a statement that is tried again is announced once, by the try that succeeded', async () => {
      const { Shelf, Thing } = at.models
      let tries = 0
      const retried: object = { retry: { max: 3, match: [/try again/] } }
      at.sequelize.addHook('beforeQuery', 'tries', () => {
        tries += 1
        if (tries === 1) throw new Error('try again')
      })
      try {
        await Shelf.create(shelf(1), retried)
        await Thing.bulkCreate([thing({ id: 1 })])
      } finally {
        at.sequelize.removeHook('beforeQuery', 'tries')
      }
      expect(tries).toBe(3)
      expect(at.announced()).toEqual(['create Shelf 1', 'create Thing 1'])
    })

    test('a transaction that is run again after it lost is announced once', async () => {
      const { Shelf } = at.models
      for (let attempt = 1; attempt <= 2; attempt++) {
        await at.sequelize
          .transaction(async (transaction) => {
            await Shelf.create(shelf(1), { transaction })
            if (attempt === 1) throw new Error('lost')
          })
          .catch(() => {})
      }
      expect(at.announced()).toEqual(['create Shelf 1'])
    })

    test.skipIf(name === 'sqlite')('a transaction of its own is announced though the outer one is undone', async () => {
      const { Shelf } = at.models
      await expect(
        at.sequelize.transaction(async (outer) => {
          await Shelf.create(shelf(1), { transaction: outer })
          await at.sequelize.transaction(async (own) => void (await Shelf.create(shelf(2), { transaction: own })))
          await Shelf.create(shelf(3), { transaction: null })
          expect(at.announced()).toEqual(['create Shelf 2', 'create Shelf 3'])
          throw new Error('outer')
        }),
      ).rejects.toThrow('outer')
      expect(at.announced()).toEqual([])
      expect(await stored()).toEqual([2, 3])
    })

    test.skipIf(name === 'sqlite')('many transactions at once, every other of which is undone', async () => {
      const { Shelf, Note } = at.models
      const ids = Array.from({ length: 20 }, (_, i) => i + 1)
      const work = ids.map(async (id) =>
        at.sequelize.transaction(async (outer) => {
          await Shelf.create(shelf(id), { transaction: outer })
          await at.sequelize.transaction(
            { transaction: outer },
            async (inner) => void (await Note.create({ id }, { transaction: inner })),
          )
          if (id % 2 === 0) throw new Error('undone')
        }),
      )
      const results = await Promise.allSettled(work)
      expect(results.filter(({ status }) => status === 'rejected')).toHaveLength(10)
      const odd = ids.filter((id) => id % 2 === 1)
      expect(at.batches).toHaveLength(10)
      expect(new Set(at.batches.map(({ tx }) => tx)).size).toBe(10)
      for (const { changes } of at.batches) expect(changes).toHaveLength(2)
      const expected = odd.flatMap((id) => [`create Shelf ${id}`, `create Note ${id}`])
      expect(at.announced().toSorted()).toEqual(expected.toSorted())
    })

    test.skipIf(name === 'sqlite')(
      'two writers of one record: the announcements come in the order of the commits',
      async () => {
        const { Shelf } = at.models
        await Shelf.create(shelf(1))
        at.announced()
        const first = await at.sequelize.transaction()
        const second = await at.sequelize.transaction()
        await Shelf.update({ name: 'first' }, { where: { id: 1 }, transaction: first })
        const waiting = Shelf.update({ name: 'second' }, { where: { id: 1 }, transaction: second })
        await first.commit()
        await waiting
        expect(at.batches).toHaveLength(1)
        await second.commit()
        expect(at.announced()).toEqual(['update Shelf 1', 'update Shelf 1'])
      },
    )

    test('savepoints that the program sets itself', async () => {
      const { Shelf } = at.models
      await at.sequelize.transaction(async (transaction) => {
        for (const [id, after] of [
          [1, 'release savepoint s'],
          [2, 'rollback to savepoint s'],
          [3, 'release savepoint s'],
        ] as const) {
          await at.sequelize.query('savepoint s', { transaction })
          await Shelf.create(shelf(id), { transaction })
          await at.sequelize.query(after, { transaction })
        }
      })
      expect(await stored()).toEqual([1, 3])
      expect(at.announced()).toEqual(['create Shelf 1', 'create Shelf 3'])
    })

    test('a transaction that is begun with options', async () => {
      const { Shelf } = at.models
      for (const [i, isolationLevel] of Object.values(Transaction.ISOLATION_LEVELS).entries()) {
        await at.sequelize.transaction({ isolationLevel }, async (transaction) => {
          await Shelf.create(shelf(i + 1), { transaction })
          expect(at.announced()).toEqual([])
        })

        expect(at.announced()).toEqual([`create Shelf ${i + 1}`])
      }
    })

    test('a transaction that began before anybody listened', async () => {
      const transaction = await at.sequelize.transaction()
      await at.models.Thing.create(thing({ id: 1 }), { transaction })
      const late: unknown[] = []
      const source = at.live.changes()
      await source.start((batch) => void late.push(batch))
      await transaction.commit()
      await source.stop()
      expect(late).toHaveLength(1)
      expect(late).toEqual(at.batches)
    })
  })
})
