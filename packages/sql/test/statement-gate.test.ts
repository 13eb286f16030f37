import { expect, test } from 'vitest'
import { recordWrite } from '../src/index.ts'
import { outboxDatabase } from './support/outbox-database.ts'

const TASK = [{ entity: 'Task' }]

test('writes the row before the outermost commit, and nothing of what is rolled back', async () => {
  const at = await outboxDatabase()
  await at.run('begin')
  await at.run(`insert into task values (1, 'a')`)
  expect(at.rows()).toEqual([])
  await at.run('savepoint one')
  await at.run('release one')
  expect(at.rows()).toEqual([])
  await at.run('commit')
  expect(at.rows()).toEqual([TASK])
  await at.run('begin')
  await at.run(`insert into task values (2, 'b')`)
  await at.run('rollback')
  await at.run('begin')
  await at.run('select 1')
  await at.run('commit')
  expect(at.rows()).toEqual([TASK])
})

test('a savepoint that is the transaction', async () => {
  const at = await outboxDatabase()
  await at.run('savepoint one')
  await at.run('savepoint two')
  await at.run(`insert into task values (1, 'a')`)
  await at.run('release two')
  expect(at.rows()).toEqual([])
  await at.run('release one')
  expect(at.rows()).toEqual([TASK])
})

test('without the row nothing is committed', async () => {
  const at = await outboxDatabase()
  at.sql('drop table rtapi_outbox')
  await at.run('begin')
  await at.run(`insert into task values (1, 'a')`)
  await expect(at.run('commit')).rejects.toThrow('no such table')
  await expect(at.run('commit'), 'nor at the next try').rejects.toThrow('no such table')
  await at.run('rollback')
  await expect(at.run(`insert into task values (2, 'b')`)).rejects.toThrow('no such table')
  expect(at.sql('select * from task')).toEqual([])
  await at.outbox.install()
  await at.run(`insert into task values (3, 'c')`)
  expect(at.sql('select id from task')).toEqual([{ id: 3 }])
})

test('a statement by itself is committed with its row, or fails as it would have', async () => {
  const at = await outboxDatabase()
  await at.run(`insert into task values (1, 'a')`)
  expect(at.rows()).toEqual([TASK])
  await expect(at.run(`insert into task values (2, 'a')`)).rejects.toThrow('UNIQUE constraint failed: task.title')
  await at.run('create table other (id integer)')
  await at.run('insert into other values (1)')
  expect(at.rows()).toEqual([TASK])
  // Nothing is left open.
  await at.run('begin')
  await at.run('commit')
})

test('a commit waits for the statements before it, and statements for one that is committed by itself', async () => {
  const at = await outboxDatabase()
  await Promise.all(['begin', `insert into task values (1, 'a')`, 'commit'].map((sql) => at.run(sql)))
  expect(at.rows()).toEqual([TASK])
  const both = [at.run(`insert into task values (2, 'b')`), at.run('begin'), at.run('rollback')]
  await Promise.all(both)
  expect(at.rows()).toEqual([TASK, TASK])
})

test('does nothing once the adapter has let go', async () => {
  const at = await outboxDatabase()
  at.staged.stop()
  at.sql('drop table rtapi_outbox')
  await at.run(`insert into task values (1, 'a')`)
  expect(at.sql('select id from task')).toEqual([{ id: 1 }])
})

test('rows hold keys, and beyond a number of them only the entity', async () => {
  const at = await outboxDatabase({ coarseKeys: 2 })
  const write = (entity: string, key: number) =>
    recordWrite({ entity, key, action: 'update', after: { title: 'secret' } })
  const track = at.staged.newTrack()
  track.succeeded('begin')
  for (const key of [1, 2, 3]) at.staged.stage(track.transaction, write('Many', key))
  at.staged.stage(track.transaction, write('Few', 1))
  const changes = track.transaction === undefined ? [] : at.staged.batchOf(track.transaction)
  await at.outbox.keep(at.raw, { tx: 'x', changes })
  expect(at.rows()).toEqual([[{ entity: 'Many' }, { entity: 'Few', key: 1, action: 'update' }]])
})
