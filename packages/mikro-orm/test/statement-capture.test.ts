import { thing } from '@rtapi/testing'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { type DatabaseName, missing } from './support/databases.ts'
import { Box, Crate, Label, Rack, Shelf, Slot, Thing, namedDependents } from './support/entities.ts'
import { type Watched, watch } from './support/recording.ts'

const everywhere: readonly DatabaseName[] = ['sqlite', 'postgres', 'mariadb']

describe.each(everywhere)('on %s', async (name) => {
  const reason = await missing(name)
  describe.skipIf(reason !== undefined)(reason ?? 'statements', () => {
    const sent: string[] = []
    let at: Watched
    beforeAll(async () => {
      const logger = (message: string): void => void sent.push(message.replace(/^\[query\] /, ''))
      at = await watch(name, {
        orm: { debug: ['query'], colors: false, logger },
        rtapi: { report: () => {}, coarseKeys: 2, cascades: namedDependents },
      })
    })
    afterAll(async () => at.close())
    afterEach(async () => {
      await at.clear()
      at.announced()
    })

    const fork = () => at.orm.em.fork()
    const things = async (...ids: readonly number[]) => {
      const rows = ids.map((id) => ({ ...thing({ id, text: 'any' }), total: null, happenedAt: null }))
      await fork().insertMany(Thing, rows)
      at.announced()
      sent.length = 0
    }
    /** What was sent, by the first words. */
    const verbs = () => sent.splice(0).map((sql) => /^\w+/.exec(sql)?.[0])

    test('of one record cost nothing, of others what the database needs to name them', async () => {
      await things(1, 2)
      await fork().nativeUpdate(Thing, { id: 1 }, { done: true })
      await fork().nativeDelete(Thing, 404)
      expect(verbs()).toEqual(['update', 'delete'])
      await fork().nativeUpdate(Thing, { text: 'any' }, { done: true })
      expect(verbs()).toEqual(name === 'mariadb' ? ['begin', 'select', 'update', 'commit'] : ['update'])
      await fork().transactional(async (em) => void (await em.nativeUpdate(Thing, { text: 'any' }, { done: true })))
      expect(verbs()).toEqual(
        name === 'mariadb' ? ['begin', 'select', 'update', 'commit'] : ['begin', 'update', 'commit'],
      )
      await fork().nativeDelete(Thing, { text: 'any' })
      expect(verbs()).toEqual(['delete'])
      expect(at.live.uncaptured()).toEqual([])
    })

    test('of more records than are to be named are coarse, of just as many not', async () => {
      await things(1, 2)
      await fork().nativeUpdate(Thing, {}, { done: true })
      expect(at.announced()).toEqual(['update Thing 1', 'update Thing 2'])
      await things(3)
      expect(await fork().nativeUpdate(Thing, {}, { done: false })).toBe(3)
      expect(at.announced()).toEqual(['coarse Thing'])
      expect(await fork().nativeDelete(Thing, {})).toBe(3)
      expect(at.announced()).toEqual(['coarse Thing'])
    })

    test('that fail change nothing, and leave no transaction behind', async () => {
      await things(1, 2)
      const work = fork().nativeUpdate(Thing, { text: 'any' }, { code: 'A' })
      await expect(work).rejects.toMatchObject({ name: 'UniqueConstraintViolationException' })
      expect(at.announced()).toEqual([])
      expect(await at.other.em.fork().nativeUpdate(Thing, {}, { done: true })).toBe(2)
    })

    test('that fail half way are announced as far as they went', async () => {
      await expect(fork().insert(Crate, { id: 1, labels: [404] })).rejects.toThrow()
      expect(at.announced()).toContain('coarse Crate')
      expect(await at.other.em.fork().count(Crate)).toBe(1)

      await fork().insert(Box, { id: 1 })
      await fork().insert(Label, { id: 1 })
      await fork().insert(Box, { id: 2, labels: [1] })
      at.announced()
      const work = fork().transactional(async (em) => {
        const box = await em.findOneOrFail(Box, 2, { populate: ['labels'] })
        box.labels.set([em.getReference(Label, 404)])
        await em.flush().catch(() => {})
        em.clear()
      })
      await work.catch(() => {})
      const rows = await at.other.em.fork().execute<unknown[]>('select * from box_labels')
      expect(at.announced().length > 0).toBe(rows.length === 0)
    })

    test('of which the database has not been told the keys', async () => {
      const em = fork()
      for (const id of [undefined, 7, undefined]) em.create(Shelf, { name: 'any', ...(id === undefined ? {} : { id }) })
      await em.flush()
      const ids = (await at.other.em.fork().find(Shelf, {})).map(({ id }) => id)
      const created = ids.map((id) => `create Shelf ${id}`)
      // MikroORM counts up from the first key that MariaDB has made, past the one that was given.
      expect(at.announced().toSorted()).toEqual(
        name === 'mariadb' ? ['coarse Shelf', 'create Shelf 7'] : created.toSorted(),
      )
    })

    test('that delete more than is to be named with what depends on it', async () => {
      const em = fork()
      const rack = em.create(Rack, { id: 1, name: 'one' })
      for (const id of [1, 2, 3]) em.create(Slot, { id, rack })
      await em.flush()
      at.announced()
      const other = fork()
      other.remove(other.getReference(Rack, 1))
      await other.flush()
      expect(at.announced().toSorted()).toEqual(['coarse Pin', 'coarse Slot', 'delete Rack 1'])
    })
  })
})

test('are sent as they are where none is to be named', async () => {
  const sent: string[] = []
  const logger = (message: string): void => void sent.push(message)
  const at = await watch('sqlite', {
    orm: { debug: ['query'], colors: false, logger },
    rtapi: { report: () => {}, coarseKeys: 0, cascades: 'named' },
  })
  try {
    await at.orm.em.fork().nativeUpdate(Shelf, { name: 'any' }, { name: 'other' })
    await at.orm.em.fork().insert(Shelf, { id: 1, name: 'any' })
    sent.length = 0
    await at.orm.em.fork().nativeUpdate(Shelf, { name: 'any' }, { name: 'other' })
    await at.orm.em.fork().nativeDelete(Shelf, { name: 'other' })
    await at.orm.em.fork().createQueryBuilder(Shelf).insert({ id: 2, name: 'x' }).execute()
    expect(sent.map((sql) => /\] (\w+)/.exec(sql)?.[1])).toEqual(['update', 'delete', 'insert'])
    expect(sent.join()).not.toContain('__rtapi')
    expect(new Set(at.announced())).toEqual(
      new Set(['create Shelf 1', ...['Shelf', 'Item', 'Mark', 'Note', 'Sample'].map((entity) => `coarse ${entity}`)]),
    )
  } finally {
    await at.close()
  }
})
