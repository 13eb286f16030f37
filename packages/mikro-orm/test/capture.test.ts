import { raw, wrap } from '@mikro-orm/core'
import { thing } from '@rtapi/testing'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { rtapiMikroOrm } from '../src/index.ts'
import { type DatabaseName, missing } from './support/databases.ts'
import { Box, Draft, Employee, Item, Label, Note, Person, Sample, Seat, Shelf, Thing } from './support/entities.ts'
import { type Watched, watch } from './support/recording.ts'

const everywhere: readonly DatabaseName[] = ['sqlite', 'postgres', 'mariadb']

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
      at.reports.length = 0
    })

    const fork = () => at.orm.em.fork()
    const fill = async () => {
      const em = fork()
      for (const id of [1, 2]) em.create(Shelf, { id, name: `shelf ${id}` })
      em.create(Item, { id: 1, shelf: em.getReference(Shelf, 1) })
      em.create(Note, { id: 1, shelf: em.getReference(Shelf, 1) })
      em.create(Thing, thing({ id: 1, text: 'one', owner: 'ann' }) as never)
      await em.flush()
      at.announced()
    }

    test('of an update what it has written, and relations by the keys of their targets', async () => {
      await fill()
      const em = fork()
      const item = await em.findOneOrFail(Item, 1)
      item.shelf = em.getReference(Shelf, 2)
      await em.flush()
      expect(at.change('Item', 1)).toMatchObject({ action: 'update', before: { id: 1 }, after: { id: 1, shelfId: 2 } })
      em.remove(item)
      at.announced()
      await em.flush()
      expect(at.change('Item', 1)).toMatchObject({ action: 'delete', before: { id: 1 } })
    })

    test('what somebody else may have changed since it was loaded is not said', async () => {
      await fill()
      const em = fork()
      const [found, ...rest] = await em.find(Thing, {})
      expect(rest).toEqual([])
      await at.other.em.fork().nativeUpdate(Thing, { id: 1 }, { owner: 'somebody else' })
      if (found !== undefined) found.text = 'new'
      await em.flush()
      expect(at.change('Thing', 1)).toEqual({
        type: 'change',
        entity: 'Thing',
        key: 1,
        action: 'update',
        before: { id: 1 },
        after: { id: 1, text: 'new' },
      })
    })

    test('of a record that the store has locked: all that it held and holds', async () => {
      await fill()
      const items = at.live.store(Item)
      await items.update(1, { shelfId: 2 }, { type: 'const', value: true })
      expect(at.change('Item', 1)).toMatchObject({ before: { id: 1, shelfId: 1 }, after: { id: 1, shelfId: 2 } })
      at.announced()
      await items.delete(1, { type: 'const', value: true })
      expect(at.change('Item', 1)).toMatchObject({ action: 'delete', before: { id: 1, shelfId: 2 } })
    })

    test('of a record whose version the statement has asked for: all that was loaded', async () => {
      const em = fork()
      for (const key of ['a', 'b']) em.create(Sample, { name: key, memo: 'old', small: 1 })
      await em.flush()
      at.announced()
      const [first, second] = await fork().find(Sample, {}, { orderBy: { name: 'asc' } })
      if (first === undefined || second === undefined) throw new Error('nothing was found')
      first.memo = 'new'
      await wrap(first, true).__em?.flush()
      expect(at.change('Sample', 'a')).toMatchObject({
        before: { memo: 'old', small: 1, revision: 1 },
        after: { memo: 'new', small: 1, revision: 2 },
      })
      at.announced()
      // Of several at once the versions are looked at before.
      first.memo = second.memo = 'newer'
      await wrap(first, true).__em?.flush()
      expect(at.change('Sample', 'b')).toMatchObject({ before: { name: 'b' }, after: { memo: 'newer', revision: 2 } })
      expect(at.change('Sample', 'b')?.before).not.toHaveProperty('small')
    })

    test('of a bare reference and of a partial load what is written', async () => {
      await fill()
      const em = fork()
      em.getReference(Thing, 1).text = 'new'
      await em.flush()
      expect(at.change('Thing', 1)).toMatchObject({ before: { id: 1 }, after: { id: 1, text: 'new' } })
      at.announced()
      const other = fork()
      const found = await other.findOneOrFail(Thing, 1, { fields: ['owner'] })
      found.owner = 'bob'
      await other.flush()
      expect(at.change('Thing', 1)).toMatchObject({ before: { id: 1 }, after: { id: 1, owner: 'bob' } })
      at.announced()
      const last = fork()
      last.remove(last.getReference(Thing, 1))
      await last.flush()
      expect(at.change('Thing', 1)).toMatchObject({ action: 'delete', before: { id: 1 } })
    })

    test('the state as it was flushed, not as the program has changed it since', async () => {
      await fill()
      await fork().transactional(async (em) => {
        const found = await em.findOneOrFail(Thing, 1)
        found.owner = 'bob'
        await em.flush()
        found.owner = 'never written'
        em.clear()
      })
      expect(at.change('Thing', 1)).toMatchObject({ after: { owner: 'bob' } })
    })

    test('a value that the database computed', async () => {
      await fill()
      const em = fork()
      const found = await em.findOneOrFail(Thing, 1)
      found.version = raw('version + 41')
      await em.flush()
      expect(at.change('Thing', 1)).toMatchObject({ after: { version: 42 } })
    })

    test('not what the column may have rounded', async () => {
      const em = fork()
      em.create(Thing, { ...thing({ id: 1, text: 'a' }), price: '1.23456789' } as never)
      await em.flush()
      expect(at.change('Thing', 1)?.after).toMatchObject({ text: 'a' })
      if (name !== 'sqlite') expect(at.change('Thing', 1)?.after).not.toHaveProperty('price')
      at.announced()
      await at.live.store(Thing).update(1, { price: '7.00000001', owner: 'bob' }, { type: 'const', value: true })
      expect(at.change('Thing', 1)).toMatchObject({ before: { owner: null }, after: { owner: 'bob', text: 'a' } })
      if (name !== 'sqlite') expect(at.change('Thing', 1)?.after).not.toHaveProperty('price')
    })

    test('several flushes of a transaction are one change from the first state to the last', async () => {
      await fill()
      await fork().transactional(async (em) => {
        const found = await em.findOneOrFail(Thing, 1)
        for (const owner of ['bob', 'eve']) {
          found.owner = owner
          await em.flush()
        }
        em.remove(found)
        await em.flush()
        em.create(Thing, thing({ id: 1, owner: 'new' }) as never)
      })
      expect(at.batches).toHaveLength(1)
      expect(at.change('Thing', 1)).toMatchObject({
        action: 'update',
        before: { id: 1 },
        after: { owner: 'new', text: '' },
      })
    })

    test('a key of two columns, one of which is a relation', async () => {
      await fill()
      const em = fork()
      em.create(Seat, { shelf: em.getReference(Shelf, 2), number: 7, taken: false })
      await em.flush()
      expect(at.change('Seat', [2, 7])).toMatchObject({ action: 'create', after: { shelfId: 2, number: 7 } })
      at.announced()
      const seat = await fork().findOneOrFail(Seat, { shelf: 2, number: 7 })
      expect(seat.taken).toBe(false)
      await fork().nativeUpdate(Seat, { shelf: 2, number: 7 }, { taken: true })
      expect(at.announced()).toEqual(['update Seat [2,7]'])
      const last = fork()
      last.remove(await last.findOneOrFail(Seat, { shelf: 2, number: 7 }))
      await last.flush()
      expect(at.announced()).toEqual(['delete Seat [2,7]'])
    })

    test('classes that share a table are one entity', async () => {
      const em = fork()
      const boss = em.create(Person, { name: 'boss' })
      const employee = em.create(Employee, { name: 'employee', salary: 1, boss })
      await em.flush()
      expect(at.change('Person', employee.id)?.after).toMatchObject({ name: 'employee', salary: 1, bossId: boss.id })
      expect(at.announced().toSorted()).toEqual([`create Person ${boss.id}`, `create Person ${employee.id}`].toSorted())
    })

    test('many-to-many with a new record on either side', async () => {
      const em = fork()
      const box = em.create(Box, { id: 1 })
      box.labels.add(em.create(Label, { id: 1 }))
      await em.flush()
      expect(at.announced().toSorted()).toEqual(['create Box 1', 'create Label 1'])
      box.labels.add(em.create(Label, { id: 2 }))
      await em.flush()
      expect(at.announced().toSorted()).toEqual(['create Label 2', 'update Box 1'])
      box.labels.removeAll()
      await em.flush()
      expect(at.announced().toSorted()).toEqual(['update Box 1', 'update Label 1', 'update Label 2'])
    })

    test('many-to-many that is replaced without having been loaded', async () => {
      const em = fork()
      const made = em.create(Box, { id: 1 })
      for (const id of [1, 2]) made.labels.add(em.create(Label, { id }))
      await em.flush()
      at.announced()
      const other = fork()
      const box = await other.findOneOrFail(Box, 1)
      box.labels.set([other.getReference(Label, 1)])
      await other.flush()
      expect(new Set(at.announced())).toEqual(new Set(['update Box 1', 'update Label 1', 'update Label 2']))
    })

    test('many-to-many in plain data', async () => {
      await fork().insert(Label, { id: 1 })
      at.announced()
      await fork().insert(Box, { id: 1, labels: [1] })
      expect(at.announced().toSorted()).toEqual(['create Box 1', 'update Box 1', 'update Label 1'])
    })

    test('the deletion of one side of many-to-many', async () => {
      const em = fork()
      const box = em.create(Box, { id: 1 })
      box.labels.add(em.create(Label, { id: 1 }))
      await em.flush()
      at.announced()
      const other = fork()
      other.remove(other.getReference(Label, 1))
      await other.flush()
      expect(at.announced().toSorted()).toEqual(['coarse Box', 'coarse Crate', 'coarse Tag', 'delete Label 1'])
    })

    test('an upsert within the transaction that is given to it', async () => {
      const em = fork()
      const outer = fork()
      await outer.begin()
      const ctx = outer.getTransactionContext() as never
      await em.upsert(Shelf, { id: 1, name: 'one' }, { ctx })
      await em.upsertMany(
        Shelf,
        [2, 3].map((id) => ({ id, name: 'more' })),
        { ctx },
      )
      expect(at.announced()).toEqual([])
      await outer.commit()
      expect(at.announced()).toEqual(['update Shelf 1', 'update Shelf 2', 'update Shelf 3'])

      await outer.begin()
      await em.fork().upsert(Shelf, { id: 4, name: 'lost' }, { ctx: outer.getTransactionContext() as never })
      await outer.rollback()
      expect(at.announced()).toEqual([])
    })

    test('statements of the driver are told by their keys as far as these are known', async () => {
      await fill()
      await fork().nativeDelete(Thing, { id: { $in: [1, 404] } })
      expect(at.announced()).toEqual(['delete Thing 1'])
      await fork().nativeDelete(Thing, { id: 1 })
      expect(at.announced(), 'nothing was there any more').toEqual([])
      await fork()
        .nativeUpdate(Shelf, { id: 1 }, { id: 3 })
        .catch(() => {})
      await fork().nativeUpdate(Note, { id: 404 }, { shelf: 2 })
      expect(at.announced(), 'nobody has that key').toEqual([])
      await fork().nativeDelete(Shelf, 1)
      const dependents = ['coarse Item', 'coarse Mark', 'coarse Note', 'coarse Sample']
      expect(at.announced().toSorted()).toEqual([...dependents, 'delete Shelf 1'])
    })

    test('a batch insert without keys', async () => {
      const keys = await fork().insertMany(
        Person,
        ['a', 'b'].map((text) => ({ name: text, kind: 'person' })),
      )
      const ids = (await fork().find(Person, {}, { orderBy: { id: 'asc' } })).map(({ id }) => id)
      expect(ids).toContain(keys[0])
      expect(at.announced()).toEqual(ids.map((id) => `create Person ${id}`))
    })

    test.runIf(name === 'postgres')('a statement whose rows are streamed', async () => {
      await fill()
      const kysely = fork().getKysely<{ shelf: { id: number; name: string } }>()
      const names: string[] = []
      for await (const row of kysely.updateTable('shelf').set({ name: 'new' }).returning('name').stream(1)) {
        names.push(row.name)
      }
      expect(names).toEqual(['new', 'new'])
      expect(at.announced()).toEqual(['coarse Shelf'])
    })

    test('statements past the driver are counted, and reported once of each kind', async () => {
      await fill()
      const before = at.live.uncaptured()
      for (const text of ['a', "it's; delete from item", 'c']) {
        await fork().execute('update things set text = ? where id = 1', [text])
      }
      await fork().execute('select * from item for update'.replace(name === 'sqlite' ? / for update/ : /^$/, ''))
      expect(at.announced()).toEqual(['coarse Thing', 'coarse Thing', 'coarse Thing'])
      const counted = at.live.uncaptured().find(({ statement }) => statement === 'update things')
      expect(counted).toMatchObject({ as: 'coarse' })
      expect(before.find(({ statement }) => statement === 'update things')).toBeUndefined()
      expect(counted?.count).toBe(3)
      expect(at.reports).toHaveLength(1)
      expect(at.reports[0]).toMatchObject({ during: 'mikro-orm.uncaptured' })
      expect(String(at.reports[0]?.error)).toContain('update things')
      expect(at.live.uncaptured().some(({ statement }) => statement.includes('item'))).toBe(false)
    })

    test('a statement past the driver whose transaction is undone is neither announced nor counted', async () => {
      await fill()
      const before = JSON.stringify(at.live.uncaptured())
      const undone = fork().transactional(async (em) => {
        await em.execute('delete from note')
        await em.createQueryBuilder(Thing).delete({ id: 1 }).execute()
        throw new Error('undone')
      })
      await expect(undone).rejects.toThrow('undone')
      expect(at.announced()).toEqual([])
      expect(JSON.stringify(at.live.uncaptured())).toBe(before)
    })

    test('a soft deletion is an update, and its filter hides it from the store', async () => {
      const em = fork()
      const draft = em.create(Draft, { id: 1, text: 'a' })
      await em.flush()
      const store = at.live.store(Draft)
      expect(await store.read([1])).toHaveLength(1)
      draft.deletedAt = new Date()
      await em.flush()
      expect(at.announced()).toEqual(['create Draft 1', 'update Draft 1'])
      expect(await store.read([1])).toEqual([])
      expect(await at.live.store(Draft, { filters: false }).read([1])).toHaveLength(1)
    })

    test('after stop nothing is captured, and MikroORM is as it was', async () => {
      const driver = at.other.em.getDriver()
      const other = rtapiMikroOrm(at.other, { report: () => {} })
      const batches: unknown[] = []
      await other.changes().start((batch) => void batches.push(batch))
      await at.other.em.fork().insert(Label, { id: 1 })
      expect(batches).toHaveLength(1)
      other.stop()
      await at.other.em.fork().insert(Label, { id: 2 })
      const em = at.other.em.fork()
      em.create(Label, { id: 3 })
      await em.flush()
      expect((await other.store(Label).create({ id: 4 })).row).toEqual({ id: 4 })
      await other.changes().start((batch) => void batches.push(batch))
      await other.store(Label).delete(4, { type: 'const', value: true })
      expect(batches).toHaveLength(1)
      expect(Object.hasOwn(driver, 'nativeInsert')).toBe(false)
      expect(at.other.config.get('subscribers')).toEqual([])
    })
  })
})

describe('without transactions around each flush', () => {
  test('each statement is announced when it is done', async () => {
    const at = await watch('sqlite', { orm: { implicitTransactions: false } })
    try {
      const both = ['Box 1', 'Label 1']
      const em = at.orm.em.fork()
      const box = em.create(Box, { id: 1 })
      box.labels.add(em.create(Label, { id: 1 }))
      await em.flush()
      expect(new Set(at.announced())).toEqual(new Set(both.flatMap((name) => [`create ${name}`, `update ${name}`])))
      box.labels.removeAll()
      await em.flush()
      expect(new Set(at.announced())).toEqual(new Set(['update Box 1', 'update Label 1']))
      em.remove(box)
      await em.flush()
      expect(new Set(at.announced())).toEqual(new Set(['delete Box 1', 'coarse Label']))
    } finally {
      await at.close()
    }
  })
})

describe('when what is loaded is trusted', () => {
  test('changes say all that was loaded, of partial loads what is', async () => {
    const at = await watch('sqlite', { rtapi: { trustLoaded: true } })
    try {
      const em = at.orm.em.fork()
      em.create(Thing, thing({ id: 1, text: 'one', owner: 'ann' }) as never)
      await em.flush()
      at.announced()
      const found = await at.orm.em.fork().findOneOrFail(Thing, 1)
      found.owner = 'bob'
      await wrap(found, true).__em?.flush()
      expect(at.change('Thing', 1)).toMatchObject({
        before: { text: 'one', owner: 'ann' },
        after: { text: 'one', owner: 'bob' },
      })
      at.announced()
      const part = await at.orm.em.fork().findOneOrFail(Thing, 1, { fields: ['owner'] })
      part.owner = 'eve'
      await wrap(part, true).__em?.flush()
      expect(at.change('Thing', 1)).toMatchObject({ before: { owner: 'bob' }, after: { owner: 'eve' } })
      expect(at.change('Thing', 1)?.before).not.toHaveProperty('text')
      at.announced()
      const last = at.orm.em.fork()
      last.remove(await last.findOneOrFail(Thing, 1))
      await last.flush()
      expect(at.change('Thing', 1)).toMatchObject({ action: 'delete', before: { owner: 'eve', text: 'one' } })
    } finally {
      await at.close()
    }
  })
})

describe('connections', () => {
  test('that MikroORM opens anew are captured too', async () => {
    const at = await watch('sqlite')
    try {
      await at.orm.close()
      await at.orm.connect()
      const em = at.orm.em.fork()
      em.create(Label, { id: 1 })
      await em.flush()
      expect(at.announced()).toEqual(['create Label 1'])
    } finally {
      await at.close()
    }
  })

  test('of a driver that is none of SQL databases that rtapi knows are refused', () => {
    const orm = { em: { getDriver: () => ({}), config: {} }, getMetadata: () => ({}) }
    expect(() => rtapiMikroOrm(orm as never)).toThrow(TypeError)
  })
})
