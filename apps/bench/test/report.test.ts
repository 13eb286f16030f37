import { expect, test } from 'vitest'
import type { Sample } from '../src/measure-row.ts'
import { median, quantile } from '../src/measure/median.ts'
import { formatTable, summarise, summariseRow } from '../src/report.ts'
import type { Row } from '../src/rows.ts'
import { BASELINE, type TargetEntry } from '../src/targets.ts'

const row: Row = {
  name: 'row',
  title: 'a row',
  unit: 'delivery',
  workload: {
    records: 1,
    sockets: 1,
    following: { type: 'all' },
    traffic: { type: 'changes', atOnce: 1, interval: 1 },
  },
  goal: 0.5,
  writesGoal: 0.1,
}

const sample = (cost: number, writes = 1): Sample => ({ cost, writes, perSecond: 10, latency: null, heap: 0 })

test('the ratio is the median of the pairs, not the ratio of the medians', () => {
  const baseline = [sample(10), sample(100), sample(20)]
  const { ratio, cost } = summarise(row, 'x', [sample(5), sample(10), sample(10)], baseline)
  expect(ratio).toBe(0.5)
  expect(cost).toBe(10)
})

test('a goal is reached at its limit, and each is judged by its own figure', () => {
  const { goals } = summarise(row, 'x', [sample(5, 0.2)], [sample(10)])
  expect(goals).toEqual([
    { text: 'ratio ≤ 0.5', reached: true },
    { text: 'writes ≤ 0.1', reached: false },
  ])
})

test('the baseline has no goals', () => {
  const baseline = [sample(10)]
  expect(summarise(row, 'bare', baseline, baseline)).toMatchObject({ ratio: 1, goals: [] })
})

test('only our own targets have goals, and one may be to cost less than a rival', () => {
  const entry = (goals: TargetEntry['goals']): TargetEntry => ({
    file: new URL('file:///x.ts'),
    dialect: 'bare',
    standard: 'always',
    goals,
    sendsStates: false,
    leavesOut: [],
  })
  const samples = new Map([
    [BASELINE, [sample(10), sample(10), sample(10)]],
    ['ours', [sample(4), sample(4), sample(4)]],
    ['rival', [sample(10), sample(20), sample(30)]],
    ['cheaper', [sample(9), sample(30), sample(15)]],
  ])
  const entries = new Map([
    [BASELINE, entry('none')],
    ['ours', entry('of the row')],
    ['rival', entry('none')],
    ['cheaper', entry({ below: 'rival' })],
  ])
  const goals = summariseRow(row, samples, entries).map((result) => result.goals)
  expect(goals[0]).toEqual([])
  expect(goals[1]?.map(({ reached }) => reached)).toEqual([true, false])
  expect(goals[2]).toEqual([])
  expect(goals[3]).toEqual([{ text: '0.90 of rival', reached: true }])
  samples.delete('rival')
  expect(summariseRow(row, samples, entries).at(-1)?.goals).toEqual([])
})

test('the table names every target and says which goals were missed', () => {
  const table = formatTable([summarise(row, 'x', [sample(6, 0.05)], [sample(10)])])
  expect(table.split('\n')).toHaveLength(3)
  expect(table).toContain('NO  ratio ≤ 0.5  yes writes ≤ 0.1')
})

test('medians and quantiles', () => {
  expect([median([3, 1, 2]), median([4, 1, 2, 3]), quantile([1, 2, 3, 4], 0.99), quantile([5], 0.5)]).toEqual([
    2, 2.5, 4, 5,
  ])
})
