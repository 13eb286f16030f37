import type { ChangeBatch } from '@rtapi/core'
import { expect, test } from 'vitest'
import { postgresDialect } from '../src/dialects/postgres.ts'
import { StagedWrites, coarseWrite, recordWrite } from '../src/staged-writes.ts'

function staging() {
  const reports: string[] = []
  const batches: ChangeBatch[] = []
  const staged: StagedWrites = new StagedWrites({
    dialect: postgresDialect,
    name: 'test',
    report: (error, { during }) => void reports.push(`${during}: ${(error as Error).message}`),
    written: (sql, transaction) => {
      if (sql.includes('bad')) throw new Error('unreadable')
      staged.stage(transaction, coarseWrite(['Task']))
    },
  })
  return { staged, reports, batches, listen: (batch: ChangeBatch) => void batches.push(batch) }
}

const create = recordWrite({ entity: 'Task', key: 1, action: 'create' })

test('announces the writes of a transaction when it is committed, under one id', () => {
  const { staged, batches, listen } = staging()
  staged.listen(listen)
  const track = staged.newTrack()
  track.succeeded('begin')
  staged.stage(track.transaction, create)
  const { transaction } = track
  expect(batches).toEqual([])
  track.succeeded('commit')
  expect(batches).toEqual([
    { tx: transaction?.id, changes: [{ type: 'change', entity: 'Task', key: 1, action: 'create' }] },
  ])
  expect(transaction?.committed).toBe(true)
  expect(transaction?.announced).toBe(true)
})

test('announces a write without a transaction at once', () => {
  const { staged, batches, listen } = staging()
  staged.listen(listen)
  staged.newTrack().succeeded('update task set a = 1')
  staged.stage(undefined, create)
  expect(batches.map(({ changes }) => changes[0]?.type)).toEqual(['coarse', 'change'])
  expect(new Set(batches.map(({ tx }) => tx)).size).toBe(2)
})

test('says of a transaction that nobody has heard of it, or that nothing is left of it', () => {
  const { staged, listen } = staging()
  const track = staged.newTrack()
  track.succeeded('begin')
  staged.stage(track.transaction, create)
  const { transaction } = track
  track.succeeded('commit')
  expect(transaction?.announced).toBe(false)
  staged.listen(listen)
  track.succeeded('begin')
  const second = track.transaction
  staged.stage(second, create)
  staged.stage(second, recordWrite({ entity: 'Task', key: 1, action: 'delete' }))
  track.succeeded('commit')
  expect(second?.announced).toBe(false)
})

test('reports what captures and listeners throw, and tells the others all the same', async () => {
  const { staged, reports, batches, listen } = staging()
  staged.listen(() => {
    throw new Error('deaf')
  })
  staged.listen(listen)
  staged.newTrack().succeeded('update bad')
  staged.stage(undefined, {
    addTo() {
      throw new Error('unsayable')
    },
  })
  staged.stage(undefined, create)
  await staged.guard(() => Promise.reject(new Error('late')))
  expect(reports.map((text) => text.split(': ')[1])).toEqual(['unreadable', 'unsayable', 'deaf', 'late'])
  expect(reports[0]).toMatch(/^test\.capture: /)
  expect(batches).toHaveLength(1)
})

test('announces nothing once it is stopped, and to nobody who has stopped', async () => {
  const { staged, batches } = staging()
  const source = staged.source()
  await source.start((batch) => void batches.push(batch))
  staged.stage(undefined, create)
  await source.stop()
  staged.stage(undefined, create)
  expect(batches).toHaveLength(1)
  staged.listen((batch) => void batches.push(batch))
  staged.stop()
  staged.newTrack().succeeded('update task set a = 1')
  expect(batches).toHaveLength(1)
})
