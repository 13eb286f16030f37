import { UniqueConstraintViolationException } from '@mikro-orm/core'
import { fakeClock, thing } from '@rtapi/testing'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { rtapiMikroOrm } from '../src/index.ts'
import { type DatabaseName, missing, openDatabase } from './support/databases.ts'
import { Item, Shelf, Thing } from './support/entities.ts'
import { type Watched, watch } from './support/recording.ts'

const everywhere: readonly DatabaseName[] = ['sqlite', 'postgres', 'mariadb']

describe.each(everywhere)('on %s', async (name) => {
  const reason = await missing(name)
  describe.skipIf(reason !== undefined)(reason ?? 'the outbox', () => {
    let at: Watched
    // Time stands still: nothing is removed, and nothing announced again.
    const clock = fakeClock()
    beforeAll(async () => {
      at = await watch(name, { rtapi: { outbox: { clock } } })
    })
    afterAll(async () => {
      at.live.stop()
      await at.close()
    })
    afterEach(async () => {
      await at.clear()
      await at.other.em.execute('delete from rtapi_outbox')
      at.announced()
      at.reports.length = 0
    })

    const fork = () => at.orm.em.fork()
    async function rows(): Promise<unknown[]> {
      const found = await at.other.em.execute<{ changes: string }[]>('select changes from rtapi_outbox order by id')
      return found.map(({ changes }) => JSON.parse(changes) as unknown)
    }
    const change = (entity: string, key: number, action: string) => ({ entity, key, action })
    const shelf = (id: number) => ({ id, name: `shelf ${id}` })
    const stored = async () =>
      (await at.other.em.fork().find(Shelf, {}, { orderBy: { id: 'asc' } })).map(({ id }) => id)

    test('a flush is kept with its keys, what is rolled back is not', async () => {
      const em = fork()
      em.create(Shelf, shelf(1))
      await em.flush()
      expect(await rows()).toEqual([[change('Shelf', 1, 'create')]])
      const undone = fork().transactional(async (inner) => {
        await inner.insert(Shelf, shelf(2))
        throw new Error('no')
      })
      await expect(undone).rejects.toThrow('no')
      expect(await rows()).toHaveLength(1)
      expect(at.announced()).toEqual(['create Shelf 1'])
    })

    test('what is written outside of any transaction is kept with its keys too, and answers as ever', async () => {
      const em = fork()
      expect(await em.insert(Shelf, shelf(1))).toBe(1)
      await em.insertMany(Shelf, [shelf(2), shelf(3)])
      expect(await em.nativeUpdate(Shelf, { id: { $in: [1, 2] } }, { name: 'new' })).toBe(2)
      expect(await em.nativeUpdate(Shelf, { id: 99 }, { name: 'new' })).toBe(0)
      expect(await em.nativeDelete(Shelf, { id: 3 })).toBe(1)
      const kept = await rows()
      expect(kept.slice(0, 3)).toEqual([
        [change('Shelf', 1, 'create')],
        [change('Shelf', 2, 'create'), change('Shelf', 3, 'create')],
        [change('Shelf', 1, 'update'), change('Shelf', 2, 'update')],
      ])
      expect(JSON.stringify(kept[3])).toContain('"entity":"Shelf","key":3,"action":"delete"')
      expect(await stored()).toEqual([1, 2])
    })

    test('an upsert outside of any transaction is kept without keys', async () => {
      const found = await fork().upsert(Thing, { ...thing({ id: 1 }), happenedAt: null, total: null })
      expect(found.id).toBe(1)
      expect(await rows()).toEqual([[{ entity: 'Thing' }]])
      expect(at.announced()).toEqual(['update Thing 1'])
      await fork().upsertMany(Thing, [
        { ...thing({ id: 1 }), happenedAt: null, total: null },
        { ...thing({ id: 2 }), happenedAt: null, total: null },
      ])
      expect(await rows()).toHaveLength(2)
      // Its events have told of all of it: the rows go as others do.
      await clock.advance(100)
      await vi.waitFor(async () => expect(await rows()).toEqual([]))
    })

    test('plain SQL and query builders are kept as they are announced', async () => {
      await fork().execute(`insert into shelf (id, name) values (1, 'a')`)
      await fork().qb(Shelf).update({ name: 'b' }).where({ id: 1 }).execute()
      expect(await rows()).toEqual([[{ entity: 'Shelf' }], [change('Shelf', 1, 'update')]])
      expect(await at.other.em.execute('select name from shelf')).toEqual([{ name: 'b' }])
    })

    test('errors are those of MikroORM', async () => {
      await fork().insert(Shelf, shelf(1))
      await expect(fork().insert(Shelf, shelf(1))).rejects.toThrow(UniqueConstraintViolationException)
      await expect(fork().insert(Item, { id: 1, shelf: 404 })).rejects.toThrow(/foreign key/i)
      await expect(fork().execute('insert into shelf (id) values (1, 2, 3)')).rejects.toThrow()
      expect(await rows()).toHaveLength(1)
      expect(at.announced()).toEqual(['create Shelf 1'])
    })

    test('where the row cannot be written nothing is stored, and everything goes on when it can', async () => {
      await at.other.em.execute('alter table rtapi_outbox rename to hidden')
      const em = fork()
      em.create(Shelf, shelf(1))
      await expect(em.flush()).rejects.toThrow(/rtapi_outbox/)
      await expect(fork().insert(Shelf, shelf(2))).rejects.toThrow(/rtapi_outbox/)
      await expect(fork().execute(`insert into shelf (id, name) values (3, 'a')`)).rejects.toThrow(/rtapi_outbox/)
      expect(await stored()).toEqual([])
      expect(at.announced()).toEqual([])
      await at.other.em.execute('alter table hidden rename to rtapi_outbox')
      await fork().insert(Shelf, shelf(4))
      expect(await stored()).toEqual([4])
      expect(await rows()).toHaveLength(1)
    })

    if (name !== 'mariadb') {
      test('a commit that fails leaves no row', async () => {
        await fork().insert(Shelf, shelf(1))
        const failed = fork().transactional(async (em) => {
          await em.execute(
            name === 'sqlite'
              ? 'pragma defer_foreign_keys = on'
              : 'alter table item alter constraint item_shelf_id_foreign deferrable initially deferred',
          )
          await em.insert(Item, { id: 1, shelf: 404 })
        })
        await expect(failed).rejects.toThrow(/foreign key/i)
        expect(await rows()).toEqual([[change('Shelf', 1, 'create')]])
      })
    } else {
      test('what MariaDB commits by itself is kept by then', async () => {
        await at.orm.em.fork().transactional(async (em) => {
          await em.insert(Shelf, shelf(1))
          await em.execute('create temporary table passing (id integer)')
          await em.execute('drop temporary table passing')
          await em.insert(Shelf, shelf(2))
          await em.execute('create table lasting (id integer)')
          expect(at.announced()).toEqual(['create Shelf 1', 'create Shelf 2'])
          await em.execute('drop table lasting')
        })
        const both = [change('Shelf', 1, 'create'), change('Shelf', 2, 'create')]
        expect((await rows()).at(-1)).toEqual(both)
        await at.other.em.execute('delete from rtapi_outbox')
        await fork().execute('truncate table mark')
        expect(await rows()).toEqual([[{ entity: 'Mark' }]])
        expect(at.announced()).toEqual(['coarse Mark'])
      })
    }

    test('its own statements are nobody else’s, and the schema generator leaves its table alone', async () => {
      const before = at.live.uncaptured()
      await fork().insert(Shelf, shelf(1))
      expect(await at.live.outbox?.lag()).toEqual({ waiting: 1, oldest: expect.any(Number) as number, parked: 0 })
      await at.live.outbox?.install()
      expect(at.live.uncaptured()).toEqual(before)
      expect(at.reports).toEqual([])
      expect(await at.orm.schema.getUpdateSchemaSQL()).not.toContain('rtapi_outbox')
    })
  })
})

test('without its table the source does not start, and says what to run', async () => {
  const database = await openDatabase('sqlite')
  const live = rtapiMikroOrm(database.orm, { report: () => {}, outbox: true })
  await expect(live.changes().start(() => true)).rejects.toThrow(live.outbox?.schema ?? 'none')
  live.stop()
  await database.close()
})
