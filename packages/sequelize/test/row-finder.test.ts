import { thing } from '@rtapi/testing'
import { Transaction, literal } from 'sequelize'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { rtapiSequelize } from '../src/index.ts'
import { type DatabaseName, missing } from './support/databases.ts'
import { type Watched, watch } from './support/recording.ts'

const everywhere: readonly DatabaseName[] = ['sqlite', 'postgres', 'mariadb', 'mysql']

describe.each(everywhere)('on %s', async (name) => {
  const reason = await missing(name)
  const isMysql = name === 'mariadb' || name === 'mysql'
  describe.skipIf(reason !== undefined)(reason ?? 'rows that a statement is asked for', () => {
    let at: Watched
    const logged: string[] = []
    beforeAll(async () => {
      at = await watch(name, { sequelize: { logging: (sql) => void logged.push(sql) } })
    })
    afterAll(async () => at.close())
    afterEach(async () => {
      await at.clear()
      at.announced()
      logged.length = 0
    })
    const notes = async (count: number) =>
      at.otherModels.Note.bulkCreate(Array.from({ length: count }, (_, i) => ({ id: i + 1, text: 'a' })))

    test('are seen in no result, error or log', async () => {
      await notes(2)
      const { Note, Shelf, Thing } = at.models
      const other = at.otherModels
      expect(await Note.update({ text: 'b' }, { where: { text: 'a' } })).toEqual([2])
      expect(await Note.increment('id', { where: { text: 'none' }, returning: false } as object)).toEqual(
        await other.Note.increment('id', { where: { text: 'none' }, returning: false } as object),
      )
      const made = [Shelf, other.Shelf].map((model) => model.bulkCreate([{ name: 'a' }], { returning: false }))
      const [first, second] = await Promise.all(made)
      expect(Object.keys(first?.[0]?.dataValues as object)).toEqual(Object.keys(second?.[0]?.dataValues as object))
      expect(await Note.destroy({ where: { text: 'b' }, limit: 1 })).toBe(1)
      await Thing.bulkCreate([{ ...thing({ id: 1 }), code: 'A' }])
      const failing = { ...thing({ id: 2 }), id: undefined, code: 'A' }
      const errors = await Promise.all(
        [Thing, other.Thing].map((model) => model.bulkCreate([failing]).catch((error: unknown) => error)),
      )
      const [wrong, right] = errors.map((error) => {
        const { name: kind, message, sql, parent } = error as Error & { sql?: string; parent?: Error }
        return { kind, message, sql, parent: parent?.message.replace(/conn:\d+/, '') }
      })
      expect(wrong).toEqual(right)
      expect(logged.join('\n')).not.toMatch(/RETURNING "?id"?$|FOR UPDATE|START TRANSACTION/m)
    })

    test('of more than are named only that there are more is known, and the result is right', async () => {
      await notes(1_001)
      expect(await at.models.Note.update({ text: 'b' }, { where: { text: 'a' } })).toEqual([1_001])
      expect(at.announced()).toEqual(['coarse Note'])
      expect(await at.models.Note.destroy({ where: { text: 'b' } })).toBe(1_001)
      expect(at.announced()).toEqual(['coarse Note'])
    })

    test('a failed statement leaves nothing behind', async () => {
      await at.otherModels.Thing.bulkCreate([1, 2].map((id) => ({ ...thing({ id, text: 'a' }) })))
      const { Thing } = at.models
      await expect(Thing.update({ code: 'A' }, { where: { text: 'a' } })).rejects.toThrow()
      expect(at.announced()).toEqual([])
      expect(await at.otherModels.Thing.count({ where: { code: 'A' } })).toBe(0)
      // Each connection of the pool is fit for use, and in no transaction.
      await Promise.all([1, 2, 3, 4, 5].map((id) => at.models.Shelf.create({ id })))
      expect(await at.otherModels.Shelf.count()).toBe(5)
    })

    test('by two sources of one Sequelize: one names them, the other is right too', async () => {
      await notes(2)
      const second = rtapiSequelize(at.sequelize, { report: () => {} })
      const changes: unknown[] = []
      await second.changes().start((batch) => void changes.push(...batch.changes))
      await at.models.Note.update({ text: 'b' }, { where: { text: 'a' } })
      expect(at.announced().length).toBeGreaterThan(0)
      expect(changes.length).toBeGreaterThan(0)
      at.announced()
      changes.length = 0
      await at.sequelize
        .transaction(async (transaction) => {
          await at.models.Note.update({ text: 'c' }, { where: { text: 'b' }, transaction })
          throw new Error('undone')
        })
        .catch(() => {})
      expect([...at.announced(), ...changes]).toEqual([])
      second.stop()
      expect(await at.otherModels.Note.count({ where: { text: 'b' } })).toBe(2)
    })

    test.skipIf(!isMysql)('of an update of MariaDB are not certain where others may write in between', async () => {
      await notes(2)
      const isolationLevel = Transaction.ISOLATION_LEVELS.READ_COMMITTED
      await at.sequelize.transaction({ isolationLevel }, async (transaction) => {
        await at.models.Note.update({ text: 'b' }, { where: { text: 'a' }, transaction })
      })
      expect(at.announced()).toEqual(['coarse Note'])
      await at.sequelize.transaction(async (transaction) => {
        await at.models.Note.update({ text: 'c' }, { where: { text: 'b' }, transaction })
      })
      expect(at.announced()).toEqual(['update Note 1', 'update Note 2'])
      await at.models.Note.update({ text: 'd' }, { where: literal("text = 'c'") })
      expect(at.announced()).toEqual(['coarse Note'])
    })

    test.skipIf(!isMysql)('of an update of MariaDB are locked until it is carried out', async () => {
      await notes(2)
      let waiting: Promise<unknown> | undefined
      await at.sequelize.transaction(async (transaction) => {
        await at.models.Note.update({ text: 'b' }, { where: { text: 'a' }, transaction })
        waiting = at.otherModels.Note.update({ text: 'c' }, { where: { id: 1 } })
        await at.models.Note.update({ text: 'd' }, { where: { text: 'b' }, transaction })
      })
      await waiting
      expect(at.announced()).toEqual(['update Note 1', 'update Note 2'])
      expect((await at.otherModels.Note.findByPk(1))?.get('text')).toBe('c')
    })
  })
})

test('nothing is asked where the application does not want it', async () => {
  const at = await watch('sqlite', { rtapi: { coarseKeys: 0, cascades: 'named' } })
  await at.models.Shelf.bulkCreate([{ name: 'a' }, { name: 'a' }])
  await at.models.Shelf.update({ name: 'b' }, { where: { name: 'a' } })
  await at.sequelize.transaction(async (transaction) => at.models.Shelf.destroy({ where: { name: 'b' }, transaction }))
  const coarse = [
    'coarse Shelf',
    'coarse Shelf',
    'coarse Item',
    'coarse Mark',
    'coarse Note',
    'coarse Sample',
    'coarse Shelf',
  ]
  expect(at.announced()).toEqual(coarse)
  await at.close()
})

test.each(['sqlite', 'mysql'] as const)('a %s that does not know returning', async (name) => {
  if ((await missing(name)) !== undefined) return
  const at = await watch(name)
  const { connectionManager } = at.sequelize as unknown as {
    connectionManager: { getConnection: (options?: object) => Promise<Connection> }
  }
  const refused: string[] = []
  const getConnection = connectionManager.getConnection.bind(connectionManager)
  connectionManager.getConnection = async (options) => {
    const connection = await getConnection(options)
    refuse(connection, refused)
    return connection
  }
  await at.models.Note.bulkCreate([1, 2].map((id) => ({ id, text: 'a' })))
  at.announced()
  for (const text of ['a', 'b']) {
    await at.models.Note.destroy({ where: { text } })
    await at.models.Note.bulkCreate([{ id: 3, text: 'b' }])
  }
  const named = ['delete Note 1', 'delete Note 2', 'create Note 3', 'delete Note 3', 'create Note 3']
  const coarse = ['coarse Note', 'create Note 3', 'coarse Note', 'create Note 3']
  expect(at.announced()).toEqual(name === 'mysql' ? named : coarse)
  expect(refused).toHaveLength(1)
  await at.close()
})

interface Connection {
  all?: (sql: string, ...rest: unknown[]) => unknown
  query?: (options: { readonly sql: string }, ...rest: unknown[]) => unknown
}

/** The connection answers statements with `returning` as a database does that has never heard of it. */
function refuse(connection: Connection, refused: string[]): void {
  const { all, query } = connection
  const refuses = (sql: string, rest: unknown[], error: object): boolean => {
    if (!/\breturning\b/i.test(sql)) return false
    refused.push(sql)
    const callback = rest.at(-1) as (error: Error) => void
    setImmediate(() => callback(Object.assign(new Error('near "RETURNING": syntax error'), error)))
    return true
  }
  if (Object.hasOwn(connection, 'refuses')) return
  Object.assign(connection, { refuses: true })
  if (all !== undefined) {
    connection.all = (sql, ...rest) =>
      refuses(sql, rest, { code: 'SQLITE_ERROR' }) || all.call(connection, sql, ...rest)
  }
  if (query !== undefined) {
    connection.query = (options, ...rest) =>
      refuses(options.sql, rest, { code: 'ER_PARSE_ERROR', errno: 1064 }) || query.call(connection, options, ...rest)
  }
}
