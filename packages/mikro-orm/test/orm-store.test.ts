import { DeadlockException, type EventSubscriber, OptimisticLockError } from '@mikro-orm/core'
import { type Filter, type Row, RtapiError, type Store, everything, keyOf, matchesFilter } from '@rtapi/core'
import { thing } from '@rtapi/testing'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { rtapiMikroOrm } from '../src/index.ts'
import { type DatabaseName, missing, openDatabase } from './support/databases.ts'
import { Draft, Employee, Item, Person, Sample, Seat, Shelf, Thing } from './support/entities.ts'
import { type Watched, watch } from './support/recording.ts'

const everywhere: readonly DatabaseName[] = ['sqlite', 'postgres', 'mariadb']

/** Does something in the middle of an update. */
class Interruption implements EventSubscriber {
  run: (() => Promise<void>) | undefined

  async beforeUpdate(): Promise<void> {
    const { run } = this
    this.run = undefined
    await run?.()
  }
}

async function failureOf(work: () => unknown): Promise<RtapiError> {
  try {
    await work()
  } catch (error) {
    if (error instanceof RtapiError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

const where = (field: string, value: string | number): Filter => ({ type: 'compare', field, operator: 'eq', value })

describe.each(everywhere)('on %s', async (name) => {
  const reason = await missing(name)
  describe.skipIf(reason !== undefined)(reason ?? 'the store', () => {
    const interruption = new Interruption()
    const statements: string[] = []
    let at: Watched
    let samples: Store
    beforeAll(async () => {
      at = await watch(name, {
        orm: {
          subscribers: [interruption],
          debug: ['query'],
          colors: false,
          logger: (line) => void statements.push(line.replace(/^\[query\] (\w+)[^]*/, '$1')),
        },
      })
      samples = at.live.store(Sample)
    })
    afterAll(async () => at.close())
    afterEach(async () => {
      await at.clear()
      at.announced()
      at.reports.length = 0
    })

    const sentBy = async (work: () => unknown) => {
      statements.length = 0
      await work()
      return [...statements]
    }

    test('describes what travels, and leaves the rest out', () => {
      const { key, fields } = samples.describe()
      expect(key).toEqual(['name'])
      expect(Object.fromEntries(Object.entries(fields).map(([field, { type }]) => [field, type]))).toEqual({
        name: 'string',
        uuid: 'string',
        day: 'string',
        time: 'string',
        letters: 'string',
        state: 'string',
        level: 'integer',
        small: 'integer',
        real: 'number',
        rate: 'number',
        count: 'integer',
        ticks: 'bigint',
        instant: 'date',
        memo: 'string',
        flag: 'boolean',
        data: 'json',
        bytes: 'bytes',
        place: 'json',
        home: 'json',
        shelfId: 'integer',
        revision: 'integer',
      })
      expect(fields['name']).toEqual({ type: 'string', nullable: false })
      expect(fields['revision']).toEqual({ type: 'integer', nullable: false, optional: true })
    })

    test('takes values in wire form and as the entity holds them, and answers them in wire form', async () => {
      const wire = {
        instant: '2026-01-31T12:00:00.000Z',
        ticks: '9223372036854775807',
        bytes: 'AAEC/w==',
        data: { __raw: true, sql: 'drop table things', list: [1, null, 'x'], nested: { at: '2026-01-31' } },
        place: { city: 'Rome', zipCode: null, since: '2026-01-31T12:00:00.000Z' },
        home: { city: 'Oslo', zipCode: '0150', since: null },
      }
      const held = {
        ...wire,
        instant: new Date(wire.instant),
        ticks: 9_223_372_036_854_775_807n,
        bytes: new Uint8Array([0, 1, 2, 255]),
      }
      const created = [
        await samples.create({ name: 'wire', ...wire }),
        await samples.create({ name: 'held', ...held } as unknown as Row),
      ]
      for (const { row } of created) {
        expect(row).toMatchObject(wire)
        expect(await samples.read([keyOf(row, ['name'])])).toEqual([row])
      }
      const updated = await samples.update('wire', { place: { city: 'Bern' }, home: null, data: [1] }, everything)
      expect(updated?.row).toMatchObject({ place: { city: 'Bern', zipCode: null, since: null }, home: null, data: [1] })
      expect(await samples.read(['wire'])).toEqual([updated?.row])
      const isNull = (field: string): Filter => ({ type: 'compare', field, operator: 'isNull', value: true })
      for (const field of ['place', 'home', 'data', 'bytes']) {
        await samples.update('held', { [field]: null }, everything)
        expect((await samples.find({ where: isNull(field), order: [] })).map((row) => row['name'])).toContain('held')
      }
      expect(await samples.find({ where: isNull('bytes'), order: [] })).toHaveLength(1)
    })

    test('refuses data that does not fit, and names the fields', async () => {
      const cases: readonly [Record<string, unknown>, field: string][] = [
        [{ small: '1' }, 'small'],
        [{ small: 1.5 }, 'small'],
        [{ flag: 1 }, 'flag'],
        [{ uuid: 'x' }, 'uuid'],
        [{ day: '2026-02-30' }, 'day'],
        [{ state: 'closed' }, 'state'],
        [{ level: 3 }, 'level'],
        [{ instant: 'yesterday' }, 'instant'],
        [{ ticks: '9223372036854775808' }, 'ticks'],
        [{ letters: 'abcd' }, 'letters'],
        [{ bytes: '*' }, 'bytes'],
        [{ memo: { __raw: true, sql: 'x' } }, 'memo'],
        [{ memo: ['a'] }, 'memo'],
        [{ shelfId: { $ne: 0 } }, 'shelfId'],
        [{ secret: 'x' }, 'secret'],
        [{ lazy: 'x' }, 'lazy'],
        [{ twice: 1 }, 'twice'],
        [{ revision: 7 }, 'revision'],
        [{ shelf: 1 }, 'shelf'],
        [{ nothing: 1 }, 'nothing'],
        [JSON.parse('{"__proto__": 1}') as Record<string, unknown>, '__proto__'],
        [{ constructor: 1 }, 'constructor'],
      ]
      for (const [data, field] of cases) {
        const error = await failureOf(() => samples.create({ name: 'x', ...data }))
        expect(error.code, field).toBe('invalid')
        if (field !== '__proto__') expect(error.details?.map(({ path }) => path)).toEqual([[field]])
      }
      const missing = await failureOf(() => samples.create({ memo: 'x' }))
      expect(missing).toMatchObject({ code: 'invalid', details: [{ path: ['name'], message: 'is required' }] })
      // SQLite keeps any integer in any column.
      if (name === 'sqlite') return
      const large = await failureOf(() => samples.create({ name: 'x', small: 1_000_000 }))
      expect(large.code).toBe('invalid')
      expect(await samples.find({ where: { ...where('name', 'y') }, order: [] })).toEqual([])
    })

    test('answers conflicts and faults without a word of the database', async () => {
      const items = at.live.store(Item)
      await at.live.store(Shelf).create({ id: 1, name: 'secret' })
      const cases: readonly [string, () => unknown][] = [
        ['conflict', () => items.create({ id: 1, shelfId: 404 })],
        ['conflict', () => at.live.store(Shelf).create({ id: 1, name: 'again' })],
      ]
      for (const [code, work] of cases) {
        const error = await failureOf(work)
        expect(error.code).toBe(code)
        expect(error.message).not.toMatch(/shelf|item|404|again|secret|unique_|foreign key|constraint/i)
        expect(error.cause).toBeDefined()
      }
      const stale = new OptimisticLockError('stale')
      interruption.run = () => Promise.reject(stale)
      const error = await failureOf(() => at.live.store(Shelf).update(1, { name: 'new' }, everything))
      expect(error).toMatchObject({ code: 'conflict', cause: stale })
      interruption.run = () => Promise.reject(new Error('of the application'))
      await expect(at.live.store(Shelf).update(1, { name: 'new' }, everything)).rejects.toThrow('of the application')
      expect(at.announced()).toEqual(['create Shelf 1'])
    })

    test('sends as few statements as can be', async () => {
      const things = at.live.store(Thing)
      expect(await sentBy(() => things.create(thing({ id: 1, price: '1.5' })))).toEqual(['begin', 'insert', 'commit'])
      expect(await sentBy(() => things.read([1, 2, 3]))).toEqual(['select'])
      expect(await sentBy(() => things.read([]))).toEqual([])
      expect(await sentBy(() => things.find({ where: everything, order: [] }))).toEqual(['select'])
      const locked = name === 'sqlite' ? ['begin', 'update', 'select'] : ['begin', 'select']
      const update = () => things.update(1, { text: 'new' }, everything)
      expect(await sentBy(update)).toEqual([...locked, 'update', 'commit'])
      expect(await sentBy(update)).toEqual([...locked, 'commit'])
      expect(await sentBy(() => things.update(1, { text: 'x' }, where('owner', 'bob')))).toEqual([
        ...locked,
        'rollback',
      ])
      expect(await sentBy(() => things.delete(1, everything))).toEqual([...locked, 'delete', 'commit'])
      expect(at.announced()).toEqual(['create Thing 1', 'update Thing 1', 'delete Thing 1'])
    })

    test('names the transaction only where something of it was announced', async () => {
      const things = at.live.store(Thing)
      const { tx } = await things.create(thing({ id: 1 }))
      expect(tx).toBe(at.batches[0]?.tx)
      expect(await things.update(1, {}, everything)).not.toHaveProperty('tx')
    })

    test('answers what the columns have made of the values', async () => {
      const things = at.live.store(Thing)
      const { row } = await things.create(thing({ id: 1, price: '1.00000049' }))
      expect(row).toEqual((await things.read([1]))[0])
      if (name !== 'sqlite') expect(row['price']).toBe('1')
      const instant = { instant: '2026-01-31T12:00:00.999Z', real: 0.1, rate: 0.12345 }
      const sample = await samples.create({ name: 'x', ...instant })
      expect(sample.row).toEqual((await samples.read(['x']))[0])
      const updated = await samples.update('x', { instant: '2026-01-31T12:00:00.501Z', rate: 0.00005 }, everything)
      expect(updated?.row).toEqual((await samples.read(['x']))[0])
      expect(updated?.row['revision']).toBe(2)
    })

    test('decimals are compared to their last digit', async () => {
      const things = at.live.store(Thing)
      const prices = ['1', '-1', '0.5']
      for (const [i, price] of prices.entries()) await things.create(thing({ id: i + 1, price }))
      const tail = `${'0'.repeat(33)}1`
      const asked = [
        '1',
        `1.${tail}`,
        `-1.${tail}`,
        `0.5${tail}`,
        `0.4${'9'.repeat(34)}`,
        '0.50',
        '9'.repeat(40),
        `0.${'0'.repeat(39)}1`,
      ]
      for (const value of asked) {
        for (const operator of ['eq', 'ne', 'lt', 'lte', 'gt', 'gte'] as const) {
          const filter: Filter = { type: 'compare', field: 'price', operator, value }
          const found = await things.find({ where: filter, order: [['id', 'asc', 'integer']] })
          const expected = prices.flatMap((price, i) =>
            matchesFilter(filter, { price: 'decimal' }, { price }) ? [i + 1] : [],
          )
          expect(
            found.map(({ id }) => id),
            `${operator} ${value}`,
          ).toEqual(expected)
        }
      }
    })

    test('runs a write again that lost a race, and gives up after three', async () => {
      const things = at.live.store(Thing)
      await things.create(thing({ id: 1 }))
      at.announced()
      const deadlock = new DeadlockException(new Error('deadlock'))
      let tries = 0
      const lose = async (): Promise<void> => {
        tries += 1
        throw deadlock
      }
      interruption.run = lose
      const result = await things.update(1, { text: 'new' }, everything)
      expect(result?.row['text']).toBe('new')
      expect(at.announced()).toEqual(['update Thing 1'])
      const always = async (): Promise<void> => {
        interruption.run = always
        await lose()
      }
      interruption.run = always
      tries = 0
      expect(await failureOf(() => things.update(1, { text: 'newer' }, everything))).toMatchObject({ code: 'conflict' })
      expect(tries).toBe(3)
      interruption.run = undefined
      expect(at.announced()).toEqual([])
    })

    test('answers what is committed though a listener failed afterwards', async () => {
      const things = at.live.store(Thing)
      let failing = true
      at.orm.em.getEventManager().registerSubscriber({
        async afterTransactionCommit() {
          if (failing) throw new Error('thrown after the commit')
        },
      })
      const { row, tx } = await things.create(thing({ id: 1 }))
      failing = false
      expect(row).toEqual((await things.read([1]))[0])
      expect(at.batches.map((batch) => batch.tx)).toEqual([tx])
      expect(at.reports).toMatchObject([
        { during: 'mikro-orm.afterCommit', error: { message: 'thrown after the commit' } },
      ])
    })

    test('a key of two columns', async () => {
      const seats = at.live.store(Seat)
      await at.live.store(Shelf).create({ id: 1, name: 'one' })
      for (const number of [1, 2, 3]) await seats.create({ shelfId: 1, number, taken: false })
      expect(seats.describe().key).toEqual(['shelfId', 'number'])
      const found = await seats.read([[1, 1], [1, 3], [2, 1], [1], [1, 2, 3], 1, ['1', '1']] as never)
      expect(new Set(found.map(({ number }) => number))).toEqual(new Set([1, 3]))
      expect((await seats.update([1, 2], { taken: true }, everything))?.row).toEqual({
        shelfId: 1,
        number: 2,
        taken: true,
      })
      expect((await seats.delete([1, 3], everything))?.row).toMatchObject({ number: 3 })
      expect(at.announced().slice(-2)).toEqual(['update Seat [1,2]', 'delete Seat [1,3]'])
    })

    test('classes that share a table', async () => {
      const [people, employees] = [at.live.store(Person), at.live.store(Employee)]
      const { row: boss } = await people.create({ name: 'boss' })
      const { row: employee } = await employees.create({ name: 'employee', salary: 5, bossId: Number(boss['id']) })
      expect(employees.entity).toBe('Person')
      expect(Object.keys(people.describe().fields)).toEqual(['id', 'name', 'kind'])
      expect(
        (await people.find({ where: everything, order: [['id', 'asc', 'integer']] })).map(({ kind }) => kind),
      ).toEqual(['person', 'employee'])
      expect(await employees.find({ where: everything, order: [] })).toEqual([employee])
      expect(await employees.read([keyOf(boss, ['id'])])).toEqual([])
      const renamed = await people.update(keyOf(employee, ['id']), { name: 'renamed' }, everything)
      expect(renamed?.row['name']).toBe('renamed')
      expect((await employees.read([keyOf(employee, ['id'])]))[0]).toEqual({ ...employee, name: 'renamed' })
    })

    test('an update of the key', async () => {
      const things = at.live.store(Thing)
      await things.create(thing({ id: 1, text: 'moved' }))
      at.announced()
      const result = await things.update(1, { id: 2 }, everything)
      expect(result?.row).toMatchObject({ id: 2, text: 'moved' })
      expect(await things.read([1, 2])).toEqual([result?.row])
      expect(at.announced()).toEqual(['delete Thing 1', 'create Thing 2'])
    })

    test('filters of MikroORM hold for every operation', async () => {
      const drafts = at.live.store(Draft)
      const all = at.live.store(Draft, { filters: { present: false } })
      await all.create({ id: 1, text: 'a', deletedAt: '2026-01-31T12:00:00.000Z' })
      expect(await drafts.read([1])).toEqual([])
      expect(await drafts.update(1, { text: 'b' }, everything)).toBeNull()
      expect(await drafts.delete(1, everything)).toBeNull()
      expect(await all.update(1, { deletedAt: null }, everything)).not.toBeNull()
      expect(await drafts.read([1])).toHaveLength(1)
    })

    test('fields that are excluded do not exist', async () => {
      const things = at.live.store(Thing, { exclude: ['owner', 'price'] })
      expect(things.describe().fields).not.toHaveProperty('owner')
      await at.live.store(Thing).create(thing({ id: 1, owner: 'ann' }))
      expect((await things.read([1]))[0]).not.toHaveProperty('owner')
      await expect(things.find({ where: where('owner', 'ann'), order: [] })).rejects.toThrow(TypeError)
      expect(await failureOf(() => things.update(1, { owner: 'bob' } as never, everything))).toMatchObject({
        code: 'invalid',
      })
      expect(() => at.live.store(Thing, { exclude: ['id'] })).toThrow("no field 'id' that could be excluded")
      expect(() => at.live.store(Thing, { exclude: ['nothing'] })).toThrow("no field 'nothing'")
    })

    test('text of clients is never read as SQL', async () => {
      const things = at.live.store(Thing)
      const texts = ["'?'", '??', "\\'; drop table things; --", '?', '$1', ':x', '[::alias::]', '\\', '%']
      for (const [i, text] of texts.entries()) await things.create(thing({ id: i + 1, text, owner: '?' }))
      for (const [i, text] of texts.entries()) {
        const id = i + 1
        const both: Filter = { type: 'and', filters: [where('text', text), where('owner', '?'), where('id', id)] }
        const found = await things.find({ where: both, order: [['text', 'asc', 'string']], limit: 1 })
        expect(found.map((row) => row.id)).toEqual([id])
        expect((await things.update(id, { text: `${text}?` }, both))?.row['text']).toBe(`${text}?`)
      }
    })
  })
})

describe('when the database cannot', () => {
  test.each(['postgres', 'mariadb'] as const)('%s answer, the store says so', async (name) => {
    if ((await missing(name)) !== undefined) return
    const database = await openDatabase(name)
    const store = rtapiMikroOrm(database.orm, { report: () => {} }).store(Thing)
    try {
      await store.create(thing({ id: 1 }))
      // Somebody else holds the record for longer than a statement may take.
      const em = database.other.em.fork()
      await em.begin()
      await em.nativeUpdate(Thing, { id: 1 }, { done: true })
      const limited = rtapiMikroOrm(database.orm, { report: () => {} })
      limited.stop()
      const setting = name === 'postgres' ? "set statement_timeout = '50ms'" : 'set max_statement_time = 0.05'
      database.orm.em.getEventManager().registerSubscriber({
        async afterTransactionStart({ em: starting, transaction }) {
          await starting.getConnection().execute(setting, [], 'run', transaction)
        },
      })
      expect(await failureOf(() => store.update(1, { text: 'new' }, everything))).toMatchObject({ code: 'unavailable' })
      await em.rollback()
      await database.orm.close()
      expect(await failureOf(() => store.update(1, { text: 'new' }, everything)).catch(() => undefined)).not.toBeNull()
    } finally {
      await database.close()
    }
  })

  test('be reached, the store says so', async () => {
    const database = await openDatabase('sqlite')
    try {
      // Another program holds the file.
      await database.other.em.begin()
      await database.other.em.execute("insert into shelf (id, name) values (1, 'one')")
      const store = rtapiMikroOrm(database.orm, { report: () => {} }).store(Shelf)
      expect(await failureOf(() => store.create({ id: 2, name: 'two' }))).toMatchObject({ code: 'unavailable' })
      await database.other.em.rollback()
      expect((await store.create({ id: 2, name: 'two' })).row.id).toBe(2)
    } finally {
      await database.close()
    }
  })
})

describe('on a file that other programs write to', () => {
  test('an update has its record to itself before it reads it', async () => {
    const interruption = new Interruption()
    const database = await openDatabase('sqlite', { subscribers: [interruption] })
    try {
      const store = rtapiMikroOrm(database.orm, { report: () => {} }).store(Thing)
      await store.create(thing({ id: 1 }))
      let refused: unknown
      interruption.run = async () => {
        refused = await database.other.em
          .execute('update things set version = 7')
          .catch((error: Error) => error.message)
      }
      expect((await store.update(1, { text: 'new' }, everything))?.row).toMatchObject({ text: 'new', version: 1 })
      expect(refused).toContain('locked')
    } finally {
      await database.close()
    }
  })
})
