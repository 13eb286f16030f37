import { type EventSubscriber, TransactionPropagation } from '@mikro-orm/core'
import { thing } from '@rtapi/testing'
import { afterEach, beforeAll, afterAll, describe, expect, test } from 'vitest'
import { type DatabaseName, missing } from './support/databases.ts'
import { Item, Label, Note, Person, Shelf, Thing } from './support/entities.ts'
import { type Watched, watch } from './support/recording.ts'

const everywhere: readonly DatabaseName[] = ['sqlite', 'postgres', 'mariadb']

/** Fails in one event, when it is told to. */
class FailingListener implements EventSubscriber {
  event: keyof EventSubscriber | undefined

  async afterTransactionCommit(): Promise<void> {
    this.#fail('afterTransactionCommit')
  }

  async beforeTransactionCommit(): Promise<void> {
    this.#fail('beforeTransactionCommit')
  }

  async afterCreate(): Promise<void> {
    this.#fail('afterCreate')
  }

  async afterFlush(): Promise<void> {
    this.#fail('afterFlush')
  }

  #fail(event: keyof EventSubscriber): void {
    if (this.event === event) throw new Error(`thrown in ${event}`)
  }
}

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

describe.each(everywhere)('on %s', async (name) => {
  const reason = await missing(name)
  describe.skipIf(reason !== undefined)(reason ?? 'transactions', () => {
    const listener = new FailingListener()
    let at: Watched
    beforeAll(async () => {
      // Registered before the captures are, and so told first.
      at = await watch(name, { orm: { subscribers: [listener] } })
    })
    afterAll(async () => at.close())
    afterEach(async () => {
      listener.event = undefined
      await at.clear()
      at.announced()
    })

    const shelf = (id: number) => ({ id, name: `shelf ${id}` })
    const stored = async () =>
      (await at.other.em.fork().find(Shelf, {}, { orderBy: { id: 'asc' } })).map(({ id }) => id)

    test('a listener that fails after the commit hides nothing of what is stored', async () => {
      const em = at.orm.em.fork()
      em.create(Shelf, shelf(1))
      listener.event = 'afterTransactionCommit'
      await expect(em.flush()).rejects.toThrow('thrown in afterTransactionCommit')
      expect(await stored()).toEqual([1])
      expect(at.announced()).toEqual(['create Shelf 1'])

      await expect(at.orm.em.fork().transactional(async (inner) => void inner.create(Shelf, shelf(2)))).rejects.toThrow(
        'thrown in afterTransactionCommit',
      )
      expect(await stored()).toEqual([1, 2])
      expect(at.announced()).toEqual(['create Shelf 2'])
    })

    test.each(['beforeTransactionCommit', 'afterCreate'] as const)(
      'a listener that fails in %s undoes the transaction, and nothing is announced',
      async (event) => {
        const em = at.orm.em.fork()
        em.create(Shelf, shelf(1))
        listener.event = event
        await expect(em.flush()).rejects.toThrow(`thrown in ${event}`)
        expect(await stored()).toEqual([])
        expect(at.announced()).toEqual([])
      },
    )

    test('a listener that fails when the flush is over hides nothing of what is stored', async () => {
      const em = at.orm.em.fork()
      em.create(Shelf, shelf(1))
      listener.event = 'afterFlush'
      await expect(em.flush()).rejects.toThrow('thrown in afterFlush')
      expect(await stored()).toEqual([1])
      expect(at.announced()).toEqual(['create Shelf 1'])
    })

    test('what is announced after a statement has failed is what is stored', async () => {
      // PostgreSQL answers the commit of a failed transaction with success, and rolls back.
      const em = at.orm.em.fork()
      await em.insert(Shelf, shelf(1))
      at.announced()
      await em
        .transactional(async (inner) => {
          await inner.insert(Shelf, shelf(2))
          await inner.insert(Shelf, shelf(1)).catch(() => {})
        })
        .catch(() => {})
      const announced = at.announced()
      expect(announced).toEqual((await stored()).includes(2) ? ['create Shelf 2'] : [])
      expect(announced).toHaveLength(name === 'postgres' ? 0 : 1)
    })

    test('a savepoint saves the transaction from a statement that fails', async () => {
      const em = at.orm.em.fork()
      await em.insert(Shelf, shelf(1))
      at.announced()
      await em.transactional(async (outer) => {
        await outer.insert(Shelf, shelf(2))
        await outer.transactional(async (inner) => void (await inner.insert(Shelf, shelf(1)))).catch(() => {})
        await outer.insert(Shelf, shelf(3))
      })
      expect(await stored()).toEqual([1, 2, 3])
      expect(at.announced()).toEqual(['create Shelf 2', 'create Shelf 3'])
    })

    test('the flush of a nested transaction takes along what the outer one has pending', async () => {
      const em = at.orm.em.fork()
      const lost = await em
        .transactional(async (outer) => {
          outer.create(Shelf, shelf(1))
          await outer.transactional(async (inner) => {
            inner.create(Shelf, shelf(2))
            await inner.flush()
            throw new Error('inner')
          })
        })
        .catch((error: Error) => error.message)
      expect(lost).toBe('inner')
      expect(at.announced()).toEqual([])

      await em.fork().transactional(async (outer) => {
        outer.create(Shelf, shelf(3))
        await outer
          .transactional(async (inner) => {
            inner.create(Shelf, shelf(4))
            await inner.flush()
            throw new Error('inner')
          })
          .catch(() => {})
        await outer.insert(Shelf, shelf(5))
      })
      expect(at.announced()).toEqual((await stored()).map((id) => `create Shelf ${id}`))
    })

    test.skipIf(name === 'sqlite')('a transaction of its own is announced though the outer one is undone', async () => {
      const em = at.orm.em.fork()
      await expect(
        em.transactional(async (outer) => {
          await outer.insert(Shelf, shelf(1))
          await outer.transactional(async (inner) => void inner.create(Shelf, shelf(2)), {
            propagation: TransactionPropagation.REQUIRES_NEW,
          })
          expect(at.announced()).toEqual(['create Shelf 2'])
          throw new Error('outer')
        }),
      ).rejects.toThrow('outer')
      expect(at.announced()).toEqual([])
      expect(await stored()).toEqual([2])
    })

    test('a transaction that is begun and ended by hand', async () => {
      const em = at.orm.em.fork()
      await em.begin()
      em.create(Shelf, shelf(1))
      await em.flush()
      await em.rollback()
      expect(at.announced()).toEqual([])

      const next = at.orm.em.fork()
      await next.begin()
      next.create(Shelf, shelf(2))
      await next.flush()
      expect(at.announced()).toEqual([])
      await next.commit()
      expect(at.announced()).toEqual(['create Shelf 2'])
      expect(await stored()).toEqual([2])
    })

    test('transactions of the query compiler below MikroORM', async () => {
      const kysely = at.orm.em.fork().getKysely<{ shelf: { id: number; name: string } }>()
      const insert = (id: number) => ({ id, name: 'kysely' })
      await kysely.transaction().execute(async (trx) => {
        await trx.insertInto('shelf').values(insert(1)).execute()
        expect(at.announced()).toEqual([])
      })
      expect(at.announced()).toEqual(['coarse Shelf'])
      const undone = kysely.transaction().execute(async (trx) => {
        await trx.insertInto('shelf').values(insert(2)).execute()
        throw new Error('undone')
      })
      await expect(undone).rejects.toThrow('undone')
      expect(at.announced()).toEqual([])
      expect(await stored()).toEqual([1])
    })

    test('many transactions at once, every other of which is undone', async () => {
      const ids = Array.from({ length: 20 }, (_, i) => i + 1)
      const work = ids.map(async (id) =>
        at.orm.em.fork().transactional(
          async (em) => {
            em.create(Shelf, shelf(id))
            await em.flush()
            await em.transactional(async (inner) => void inner.create(Note, { id }))
            if (id % 2 === 0) throw new Error('undone')
          },
          { clear: true },
        ),
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

    test('forks with event managers of their own', async () => {
      const em = at.orm.em.fork({ freshEventManager: true })
      em.create(Shelf, shelf(1))
      await em.flush()
      expect(at.change('Shelf', 1)?.after).toEqual({ id: 1, name: 'shelf 1' })
      expect(at.announced()).toEqual(['create Shelf 1'])
    })

    test.runIf(name === 'mariadb')('a deadlock undoes the whole transaction, whatever it does next', async () => {
      for (const id of [1, 2]) await at.orm.em.fork().insert(Shelf, shelf(id))
      at.announced()
      const meeting = meetingOf(2)
      const work = [1, 2].map(async (id) =>
        at.orm.em.fork().transactional(
          async (em) => {
            await em.nativeUpdate(Shelf, { id }, { name: `by ${id}` })
            await meeting()
            const other = em.nativeUpdate(Shelf, { id: 3 - id }, { name: `by ${id}` })
            return other.then(
              () => id,
              () => undefined,
            )
          },
          { clear: true },
        ),
      )
      const winners = (await Promise.all(work)).filter((id) => id !== undefined)
      expect(winners).toHaveLength(1)
      expect(at.batches).toHaveLength(1)
      expect(at.announced().toSorted()).toEqual(['update Shelf 1', 'update Shelf 2'])
      const names = (await at.other.em.fork().find(Shelf, {})).map((one) => one.name)
      expect(new Set(names)).toEqual(new Set([`by ${winners[0]}`]))
    })

    test('savepoints that the program sets itself', async () => {
      await at.orm.em.fork().transactional(async (em) => {
        for (const [id, after] of [
          [1, 'release savepoint s'],
          [2, 'rollback to savepoint s'],
          [3, 'release savepoint s'],
        ] as const) {
          await em.execute('savepoint s')
          await em.insert(Shelf, shelf(id))
          await em.execute(after)
        }
        // The inner of two of one name is gone; it is the outer that is undone.
        await em.execute('savepoint t')
        await em.insert(Shelf, shelf(4))
        await em.execute('savepoint u')
        await em.execute('savepoint t')
        await em.insert(Shelf, shelf(5))
        await em.execute('release savepoint t')
        await em.execute(name === 'mariadb' ? 'rollback to savepoint u' : 'rollback to savepoint t')
      })
      const rest = (await stored()).slice(2)
      expect(await stored()).toEqual([1, 3, ...rest])
      expect(at.announced()).toEqual([1, 3, ...rest].map((id) => `create Shelf ${id}`))
    })

    test('statements that hooks send in the middle of a flush', async () => {
      const em = at.orm.em.fork({ cloneEventManager: true })
      await em.insert(Note, { id: 1 })
      at.announced()
      em.getEventManager().registerSubscriber({
        async afterCreate({ em: inner }) {
          await inner.insert(Label, { id: 9 })
          await inner.nativeUpdate(Note, { shelf: null }, { shelf: 1 })
        },
      })
      em.create(Shelf, shelf(1))
      await em.flush()
      expect(at.announced().toSorted()).toEqual(['create Label 9', 'create Shelf 1', 'update Note 1'])
    })

    test('records that refer to one another', async () => {
      const em = at.orm.em.fork()
      const [first, second] = [em.create(Person, { name: 'a' }), em.create(Person, { name: 'b' })]
      await em.flush()
      const ids = [first.id, second.id]
      expect(at.announced()).toEqual(ids.map((id) => `create Person ${id}`))
      em.create(Item, { id: 1, shelf: em.create(Shelf, shelf(1)) })
      await em.flush()
      expect(at.change('Item', 1)?.after).toEqual({ id: 1, shelfId: 1 })
      expect(at.announced()).toEqual(['create Shelf 1', 'create Item 1'])
    })

    test('a transaction that began before anybody listened', async () => {
      const em = at.orm.em.fork()
      await em.begin()
      em.create(Thing, thing({ id: 1 }) as never)
      await em.flush()
      const late: unknown[] = []
      const source = at.live.changes()
      await source.start((batch) => void late.push(batch))
      await em.commit()
      await source.stop()
      expect(late).toHaveLength(1)
      expect(late).toEqual(at.batches)
    })
  })
})
