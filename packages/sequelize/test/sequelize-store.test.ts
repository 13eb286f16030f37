import { type Filter, type Row, type Store, RtapiError, everything } from '@rtapi/core'
import { thing } from '@rtapi/testing'
import { DataTypes, Op, Sequelize } from 'sequelize'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { rtapiSequelize } from '../src/index.ts'
import { type DatabaseName, missing } from './support/databases.ts'
import { nodeSqlite } from './support/node-sqlite.ts'
import { type Watched, watch } from './support/recording.ts'

const everywhere: readonly DatabaseName[] = ['sqlite', 'postgres', 'mariadb', 'mysql']

const equals = (field: string, value: string | number | boolean): Filter => ({
  type: 'compare',
  field,
  operator: 'eq',
  value,
})

/** What a promise is rejected with, as clients see it. */
async function refusal(work: Promise<unknown>): Promise<{ code: string; message: string; details: unknown }> {
  const error: unknown = await work.then(
    () => 'nothing was refused',
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof RtapiError)) throw error
  return { code: error.code, message: error.message, details: error.details }
}

describe.each(everywhere)('on %s', async (name) => {
  const reason = await missing(name)
  describe.skipIf(reason !== undefined)(reason ?? 'the store', () => {
    let at: Watched
    beforeAll(async () => {
      at = await watch(name)
    })
    afterAll(async () => at.close())
    afterEach(async () => {
      await at.clear()
      at.announced()
    })
    const storeOf = (model: keyof Watched['models']): Store => at.live.store(at.models[model])
    const find = async (store: Store, where: Filter = everything) =>
      store.find({ where, order: [[store.describe().key[0] ?? '', 'asc', 'string']] })

    const sample: Row = {
      name: 'Ünï',
      uuid: 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
      day: '0099-12-31',
      time: '12:34:56',
      letters: 'abc',
      state: 'Doing',
      small: -3,
      real: 0.5,
      instant: '0099-12-31T23:59:59.123Z',
      memo: 'it\'s ? :name $1 \\ "q" 😀',
      flag: true,
      data: { deep: [1, { a: null }], text: 'x' },
      bytes: 'AAEC/w==',
      list: [3, 1, 2],
      shout: 'hey',
      mail: 'a@example.org',
      shelfId: null,
    }

    test('each kind of field travels there and back, without getters and virtual attributes', async () => {
      const store = storeOf('Sample')
      expect((await store.create(sample)).row).toEqual(sample)
      expect(await store.read(['Ünï'])).toEqual([sample])
      expect(await find(store)).toEqual([sample])
      const changed: Row = { ...sample, data: 'text', day: '2024-02-29', bytes: '', flag: false, list: [] }
      const { name: _, ...patch } = changed
      expect((await store.update('Ünï', patch, everything))?.row).toEqual(changed)
      const nothing = Object.fromEntries(Object.keys(sample).map((field) => [field, null]))
      const { name: __, ...nulls } = nothing
      expect((await store.update('Ünï', nulls, everything))?.row).toEqual({ ...nothing, name: 'Ünï' })
    })

    test('values that validators have made are taken too', async () => {
      const store = storeOf('Sample')
      const { row } = await store.create({
        name: 'a',
        instant: new Date('2026-01-31T12:00:00.5Z'),
        bytes: new Uint8Array([1, 2]),
      } as never)
      expect(row).toMatchObject({ instant: '2026-01-31T12:00:00.500Z', bytes: 'AQI=' })
      expect(
        (await storeOf('Thing').create({ ...thing({ id: 1 }), total: 9_007_199_254_740_993n } as never)).row,
      ).toMatchObject({
        total: '9007199254740993',
      })
    })

    test('a filter means what it means in memory, on each kind of field', async () => {
      const store = storeOf('Sample')
      await store.create(sample)
      await store.create({ name: 'other' })
      for (const field of [
        'name',
        'uuid',
        'day',
        'time',
        'letters',
        'state',
        'small',
        'real',
        'instant',
        'memo',
        'flag',
        'mail',
      ]) {
        const found = await find(store, equals(field, sample[field] as string))
        expect([field, found.map((row) => row['name'])]).toEqual([field, ['Ünï']])
        const others: Filter = { type: 'compare', field, operator: 'ne', value: sample[field] as string }
        expect([field, (await find(store, others)).map((row) => row['name'])]).toEqual([field, ['other']])
      }
      for (const [field, value] of [
        ['name', 'ünï'],
        ['state', 'doing'],
        ['uuid', 'no uuid'],
        ['day', 'no day'],
        ['memo', `${sample['memo'] as string} `],
      ] as const) {
        expect([field, await find(store, equals(field, value))]).toEqual([field, []])
      }
    })

    test('what looks like SQL is a value', async () => {
      const store = storeOf('Thing')
      const texts = ["'; drop table things; --", '\\', "\\'", '%', '?', ':id', '$1', '`"[]', "' or 1 = 1 or text = '"]
      for (const [i, text] of texts.entries()) await store.create(thing({ id: i + 1, text }))
      for (const [i, text] of texts.entries()) {
        expect((await find(store, equals('text', text))).map(({ id }) => id)).toEqual([i + 1])
        const starts: Filter = { type: 'compare', field: 'text', operator: 'startsWith', value: text, ignoreCase: true }
        expect((await find(store, starts)).map(({ id }) => id)).toEqual(
          texts.flatMap((other, j) => (other.startsWith(text) ? [j + 1] : [])),
        )
      }
      expect(await store.read(["1' or '1' = '1"])).toEqual([])
    })

    test('data that does not fit names its fields, and nothing of the database', async () => {
      const store = storeOf('Sample')
      const bad = {
        uuid: 'x',
        day: '2026-02-30',
        state: 'closed',
        letters: 'abcd',
        small: 1.5,
        flag: 'yes',
        bytes: '???',
        instant: 'now',
        twice: 2,
        nothing: 1,
        memo: { val: 'now()' },
      }
      const { code, details } = await refusal(Promise.resolve(store.create({ name: 'a', ...bad })))
      expect(code).toBe('invalid')
      expect(new Set((details as { path: string[] }[]).map(({ path }) => path[0]))).toEqual(new Set(Object.keys(bad)))

      const mail = await refusal(Promise.resolve(store.create({ name: 'a', mail: 'no address' })))
      expect(mail).toEqual({
        code: 'invalid',
        message: 'a value does not fit the record',
        details: [{ path: ['mail'], message: 'is not valid: isEmail' }],
      })
      const { text: _, ...rest } = thing({ id: 1 })
      const missingText = await refusal(Promise.resolve(storeOf('Thing').create(rest)))
      expect(missingText).toMatchObject({ code: 'invalid', details: [{ path: ['text'] }] })
      if (name !== 'sqlite') {
        const large = await refusal(Promise.resolve(store.create({ name: 'a', small: 40_000 })))
        expect(large).toMatchObject({ code: 'invalid', message: 'a value does not fit the record' })
      }
      expect(await find(store)).toEqual([])
    })

    test('references that are broken, and values that are taken, are conflicts that tell nothing', async () => {
      const missingShelf = await refusal(Promise.resolve(storeOf('Item').create({ id: 1, shelfId: 404 })))
      expect(missingShelf.code).toBe('conflict')
      await storeOf('Thing').create(thing({ id: 1, code: 'secret' }))
      const taken = await refusal(Promise.resolve(storeOf('Thing').create(thing({ id: 2, code: 'secret' }))))
      expect(taken).toEqual({
        code: 'conflict',
        message: 'a value must be unique and is taken already',
        details: undefined,
      })
      expect(missingShelf.message).not.toMatch(/shelf|404|item/i)
    })

    test('the key of a record cannot be changed', async () => {
      const store = storeOf('Thing')
      await store.create(thing({ id: 1 }))
      expect(await refusal(Promise.resolve(store.update(1, { id: 2 }, everything)))).toMatchObject({ code: 'invalid' })
      expect((await store.update(1, { id: 1, text: 'new' }, everything))?.row).toMatchObject({ id: 1, text: 'new' })
    })

    test('the scope of the model holds for everything but what it shows of a write', async () => {
      const store = storeOf('Ticket')
      expect(Object.keys(store.describe().fields)).toEqual(['id', 'state', 'owner'])
      const { Ticket } = at.models
      await Ticket.bulkCreate([
        { id: 1, state: 'open', owner: 'e', secret: 's' },
        { id: 2, state: 'closed', owner: 'd' },
        ...[3, 4, 5].map((id) => ({ id, state: 'open', owner: 'abcde'[id - 3] })),
      ])
      const shown = [1, 3, 4, 5]
      expect((await find(store)).map(({ id }) => id)).toEqual(shown)
      expect((await find(store))[0]).toEqual({ id: 1, state: 'open', owner: 'e' })
      expect(await store.read([2])).toEqual([])
      expect(await store.update(2, { owner: 'x' }, everything)).toBeNull()
      expect(await store.delete(2, everything)).toBeNull()
      expect((await store.update(1, { state: 'closed' }, everything))?.row).toEqual({
        id: 1,
        state: 'closed',
        owner: 'e',
      })
      expect((await Ticket.unscoped().findByPk(1))?.get('secret')).toBe('s')

      const all = at.live.store(Ticket.unscoped(), { exclude: ['secret'] })
      expect((await find(all)).map(({ id }) => id)).toEqual([1, 2, 3, 4, 5])
    })

    test('no filter of a client undoes a scope that combines conditions', async () => {
      const { Ticket } = at.models
      await Ticket.bulkCreate([1, 2, 3].map((id) => ({ id, state: 'open', owner: `o${id}` })))
      Ticket.addScope('few', { where: { [Op.and]: [{ owner: ['o1', 'o2'] }], [Op.or]: [{ id: 2 }, { id: 3 }] } })
      const store = at.live.store(Ticket.scope('few'))
      const any: Filter = { type: 'or', filters: [everything, equals('owner', 'o3')] }
      expect((await find(store, any)).map(({ id }) => id)).toEqual([2])
      expect(await store.read([1, 2, 3])).toHaveLength(1)
    })

    test('records that are deleted softly are gone, and come back when they are restored', async () => {
      const store = storeOf('Draft')
      const { row } = await store.create({ id: 1, text: 'a' })
      expect(row).toMatchObject({ id: 1, text: 'a', deletedAt: null })
      at.announced()
      expect((await store.delete(1, everything))?.row).toEqual(row)
      expect(at.announced()).toEqual(['update Draft 1'])
      expect(await store.read([1])).toEqual([])
      expect(await store.update(1, { text: 'b' }, everything)).toBeNull()
      await at.models.Draft.restore({ where: { id: 1 } })
      expect(await store.read([1])).toHaveLength(1)
      const kept = await refusal(
        Promise.resolve(store.create({ id: 2, text: 'a', createdAt: '2026-01-31T12:00:00.000Z' })),
      )
      expect(kept.code).toBe('invalid')
    })

    test('versions that Sequelize counts: a write that comes too late is a conflict', async () => {
      const { Counted } = at.models
      const store = storeOf('Counted')
      expect((await store.create({ id: 1, text: 'a' })).row).toEqual({ id: 1, text: 'a', version: 0 })
      Counted.addHook('beforeUpdate', 'meanwhile', async (instance, { transaction }) => {
        Counted.removeHook('beforeUpdate', 'meanwhile')
        const sql = `update counted set version = 7 where id = ${String(instance.get('id'))}`
        await at.sequelize.query(sql, { transaction: transaction ?? null })
      })
      const late = await refusal(Promise.resolve(store.update(1, { text: 'b' }, everything)))
      expect(late).toMatchObject({ code: 'conflict', message: 'the record was changed meanwhile' })
      expect((await store.update(1, { text: 'c' }, everything))?.row).toEqual({ id: 1, text: 'c', version: 1 })
    })

    test('keys of several parts', async () => {
      await at.models.Box.bulkCreate([{ id: 1 }, { id: 2 }])
      await at.models.Label.bulkCreate([{ id: 1 }, { id: 2 }])
      const store = storeOf('BoxLabel')
      expect(store.describe().key.toSorted()).toEqual(['boxId', 'labelId'])
      const [first, second] = store.describe().key
      await store.create({ boxId: 1, labelId: 2 })
      const key = first === 'boxId' ? [1, 2] : [2, 1]
      expect(second).toBeDefined()
      expect(await store.read([key, [9, 9], 1])).toEqual([{ note: null, boxId: 1, labelId: 2 }])
      expect((await store.update(key, { note: 'a' }, everything))?.row).toMatchObject({ note: 'a' })
      expect((await store.delete(key, everything))?.row).toMatchObject({ note: 'a' })
      expect(await store.read([key])).toEqual([])
    })

    test('hooks and validators of the model run, in the transaction of the write', async () => {
      const { Thing, Shelf } = at.models
      Thing.addHook('beforeUpdate', 'stamp', (instance) => void instance.set('owner', 'hook'))
      Thing.addHook('afterUpdate', 'note', async (instance, { transaction }) => {
        await Shelf.upsert({ id: instance.get('id') }, { transaction: transaction ?? null })
        if (instance.get('text') === 'fail') throw new RtapiError('forbidden', 'not this')
      })
      try {
        const store = storeOf('Thing')
        await store.create(thing({ id: 1, text: 'a' }))
        at.announced()
        const result = await store.update(1, { text: 'b' }, everything)
        expect(result?.row).toMatchObject({ text: 'b', owner: 'hook' })
        expect(at.batches.map(({ tx }) => tx)).toEqual([result?.tx])
        expect(at.announced()).toEqual(['update Thing 1', expect.stringMatching(/^(create|update) Shelf 1$/)])
        expect(await refusal(Promise.resolve(store.update(1, { text: 'fail' }, everything)))).toMatchObject({
          code: 'forbidden',
        })
        expect(await store.read([1])).toEqual([result?.row])
        expect(at.announced()).toEqual([])
      } finally {
        Thing.removeHook('beforeUpdate', 'stamp')
        Thing.removeHook('afterUpdate', 'note')
      }
    })

    test('a hook that fails after the commit is reported, and the write answered', async () => {
      const { Thing } = at.models
      Thing.addHook('afterCreate', 'late', (_, { transaction }) => {
        transaction?.afterCommit(() => {
          throw new Error('too late')
        })
      })
      try {
        const { row, tx } = await storeOf('Thing').create(thing({ id: 1 }))
        expect(row).toMatchObject({ id: 1 })
        expect(at.batches.map((batch) => batch.tx)).toEqual([tx])
        expect(at.reports.splice(0).map(({ during }) => during)).toEqual(['sequelize.afterCommit'])
      } finally {
        Thing.removeHook('afterCreate', 'late')
      }
    })

    test('the record is locked: of what others do meanwhile nothing is lost', async () => {
      const store = storeOf('Thing')
      await store.create(thing({ id: 1, version: 0 }))
      const results = await Promise.all(
        Array.from({ length: 8 }, async (_, i) => store.update(1, { version: i + 1 }, equals('version', 0))),
      )
      const made = results.filter((result) => result !== null)
      expect(made).toHaveLength(1)
      expect(await store.read([1])).toEqual([made[0]?.row])
    })

    test.skipIf(name === 'sqlite')('who writes the record meanwhile waits for the store', async () => {
      const { Thing } = at.models
      await storeOf('Thing').create(thing({ id: 1, owner: 'ann' }))
      const log: string[] = []
      let other: Promise<unknown> = Promise.resolve()
      Thing.addHook('beforeUpdate', 'other', async () => {
        Thing.removeHook('beforeUpdate', 'other')
        other = at.otherModels.Thing.update({ text: 'other' }, { where: { id: 1 } }).then(() => log.push('other'))
        // It would have the time to.
        for (let i = 0; i < 20; i++) await at.otherModels.Shelf.count()
        log.push('store')
      })
      const result = await storeOf('Thing').update(1, { text: 'store' }, equals('owner', 'ann'))
      await other
      expect(log).toEqual(['store', 'other'])
      expect(result?.row).toMatchObject({ text: 'store' })
      expect(await storeOf('Thing').read([1])).toMatchObject([{ text: 'other' }])
    })

    test.runIf(name === 'sqlite')('nobody else writes while the store does', async () => {
      const { Thing } = at.models
      await storeOf('Thing').create(thing({ id: 1 }))
      const others: unknown[] = []
      Thing.addHook('beforeUpdate', 'others', async () => {
        await at.otherModels.Shelf.create({ id: 1 }).catch((error: unknown) => void others.push(error))
      })
      try {
        expect((await storeOf('Thing').update(1, { text: 'b' }, everything))?.row).toMatchObject({ text: 'b' })
        expect(others).toHaveLength(1)
      } finally {
        Thing.removeHook('beforeUpdate', 'others')
      }
    })

    test('a store whose captures were stopped still works', async () => {
      const other = rtapiSequelize(at.other, { report: () => {} })
      const store: Store = other.store(at.otherModels.Thing)
      other.stop()
      expect((await store.create(thing({ id: 1 }))).row).toMatchObject({ id: 1 })
      expect((await store.update(1, { text: 'b' }, everything))?.row).toMatchObject({ text: 'b' })
      expect((await store.delete(1, everything))?.row).toMatchObject({ id: 1 })
    })
  })
})

describe('a model that cannot be a store', () => {
  const sequelize = new Sequelize({ dialect: 'sqlite', dialectModule: nodeSqlite, storage: ':memory:', logging: false })
  const live = rtapiSequelize(sequelize)
  const id = { type: DataTypes.INTEGER, primaryKey: true }
  const Parent = sequelize.define('Parent', { id })
  const Child = sequelize.define('Child', { id })
  Child.belongsTo(Parent)

  test('has no key', () => {
    const Keyless = sequelize.define('Keyless', { text: DataTypes.STRING })
    Keyless.removeAttribute('id')
    expect(() => live.store(Keyless)).toThrow('no primary key')
  })

  test.each([{ include: [{ model: Parent, required: true }] }, { where: { '$Parent.id$': 1 }, include: [Parent] }])(
    'is narrowed by an association',
    (scope) => {
      Child.addScope('narrow', scope, { override: true })
      expect(() => live.store(Child.scope('narrow'))).toThrow('narrows it by an association')
    },
  )

  test('excludes what it has not, or needs', () => {
    expect(() => live.store(Child, { exclude: ['nothing'] as never[] })).toThrow("no field 'nothing'")
    expect(() => live.store(Child, { exclude: ['id'] as never[] })).toThrow("no field 'id'")
  })

  test('is of a database that rtapi does not know', () => {
    const foreign = Object.assign(Object.create(sequelize) as Sequelize, { getDialect: () => 'mssql' })
    expect(() => rtapiSequelize(foreign)).toThrow('not mssql')
  })
})

test('a database that is away, or was left', async () => {
  const away = new Sequelize({ dialect: 'postgres', host: '127.0.0.1', port: 1, logging: false })
  const Thing = away.define('Thing', { id: { type: DataTypes.INTEGER, primaryKey: true } }, { timestamps: false })
  const store: Store = rtapiSequelize(away, { report: () => {} }).store(Thing)
  for (const leave of [() => Promise.resolve(), async () => away.close()]) {
    await leave()
    expect(await refusal(Promise.resolve(store.read([1])))).toMatchObject({ code: 'unavailable' })
    expect(await refusal(Promise.resolve(store.create({ id: 1 })))).toMatchObject({ code: 'unavailable' })
  }
})
