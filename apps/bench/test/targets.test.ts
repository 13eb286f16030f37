import { existsSync } from 'node:fs'
import { expect, test } from 'vitest'
import { dialects } from '../src/load/dialect.ts'
import { rows } from '../src/rows.ts'
import { BASELINE, targets, targetsOf } from '../src/targets.ts'

const all = new Map(Object.entries(targets))

test.each([...all])('%s has a file, and leaves out and compares itself with what there is', (_name, entry) => {
  const { file, leavesOut, goals } = entry
  expect(existsSync(file)).toBe(true)
  for (const name of leavesOut) expect(rows.map((row) => row.name)).toContain(name)
  if (typeof goals === 'object') expect(all.has(goals.below)).toBe(true)
})

test('the baseline is measured in every row, since all others are compared with it', () => {
  for (const row of rows) expect(targetsOf(row, all).has(BASELINE)).toBe(true)
})

test('a target is not asked what it has no answer to', () => {
  const [filters] = rows.filter((row) => row.name === 'filters')
  if (filters === undefined) throw new Error('there is no such row')
  expect([...targetsOf(filters, all).keys()]).toEqual([BASELINE, 'rtapi', 'ws-transport'])
})

test.each(Object.entries(dialects))('each subscription and request of %s has a number of its own', (_name, dialect) => {
  const frames = [
    ...dialect.subscribe([
      { type: 'record', key: 1 },
      { type: 'record', key: 2 },
    ]),
    dialect.request(1, 'update', 1),
    dialect.request(2, 'update', 1),
  ]
  expect(new Set(frames).size).toBe(frames.length)
})

test('frames of rtapi are texts of an event of socket.io', () => {
  const frame = dialects['rtapi-socket.io'].request(5, 'get', 3)
  expect(frame.startsWith('42')).toBe(true)
  const [event, text] = JSON.parse(frame.slice(2)) as [string, string]
  expect(event).toBe('rtapi')
  expect(JSON.parse(text)).toEqual(JSON.parse(dialects.rtapi.request(5, 'get', 3)))
  expect(frame).toContain(String.raw`\"action\":`)
})
