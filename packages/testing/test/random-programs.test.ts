import type { ChangeBatch } from '@rtapi/core'
import { AnnouncedRecords, type ProgramSubject, runRandomProgram, seedsFrom } from '@rtapi/testing'
import { describe, expect, test } from 'vitest'

type Table = Map<number, number>

/** A table of which a transaction has a copy, which takes its place when it commits. */
function tableSubject(table: Table): ProgramSubject<Table> & { readonly committedSizes: number[] } {
  const committedSizes: number[] = []
  return {
    separate: false,
    committedSizes,
    writer: () => table,
    steps: [
      {
        name: 'put',
        weight: 2,
        async run(rows, random) {
          const id = random.integer(5)
          if (rows.has(id)) throw Object.assign(new Error('not unique'), { code: 'UNIQUE' })
          rows.set(id, random.integer(100))
          return id
        },
      },
      {
        name: 'drop',
        async run(rows, random) {
          return rows.delete(random.integer(5))
        },
      },
    ],
    async transaction(rows, _, work) {
      const before = new Map(rows)
      await work(rows).catch((error: unknown) => {
        rows.clear()
        for (const [id, value] of before) rows.set(id, value)
        throw error
      })
    },
    async committed() {
      committedSizes.push(table.size)
    },
  }
}

describe('a random program', () => {
  test('does the same for the same seed, and something else for another', async () => {
    const tables: Table[] = [new Map(), new Map(), new Map()]
    const logs = await Promise.all(tables.map((table, i) => runRandomProgram(tableSubject(table), i === 2 ? 8 : 7)))
    expect(logs[0]).toEqual(logs[1])
    expect(tables[0]).toEqual(tables[1])
    expect(logs[0]).not.toEqual(logs[2])
  })

  test('has steps that fail, transactions that commit and roll back, and ones within others', async () => {
    const subject = tableSubject(new Map())
    const seeds = Array.from({ length: 30 }, (_, i) => i)
    const log = (await Promise.all(seeds.map(async (seed) => runRandomProgram(subject, seed)))).flat()
    for (const part of [
      /^put answers \d/,
      /^ {4}drop answers/,
      /put fails with Error UNIQUE/,
      /^transaction$/,
      /^ {2}transaction$/,
      /transaction fails with Error/,
      /^ {2}caught Error UNIQUE/,
    ]) {
      expect(
        log.some((line) => part.test(line)),
        String(part),
      ).toBe(true)
    }
    expect(log.some((line) => line.includes('separate'))).toBe(false)
    expect(subject.committedSizes).toHaveLength(30 * 8)
  })
})

describe('announced records', () => {
  const batch = (action: 'create' | 'update' | 'delete', key = 1): ChangeBatch => ({
    tx: 'tx',
    changes: [{ type: 'change', entity: 'thing', key, action }],
  })

  test('that were never committed are found', async () => {
    const records = new AnnouncedRecords((_, key) => Promise.resolve(key === 1))
    records.receive(batch('create'))
    records.receive(batch('update'))
    records.receive(batch('delete', 2))
    expect(await records.uncommitted()).toEqual([])
    records.receive(batch('create', 2))
    records.receive(batch('delete', 1))
    expect(await records.uncommitted()).toEqual(['create thing 2', 'delete thing 1'])
  })

  test('of which a later batch tells once more are explained, an earlier one only where any order will do', async () => {
    const gone = () => Promise.resolve(false)
    const coarse: ChangeBatch = { tx: 'tx', changes: [{ type: 'coarse', entity: 'thing' }] }
    for (const after of [batch('delete'), coarse]) {
      const records = new AnnouncedRecords(gone)
      for (const each of [batch('create'), after]) records.receive(each)
      expect(await records.uncommitted()).toEqual([])
    }
    for (const anyOrder of [true, false]) {
      const records = new AnnouncedRecords(gone, { anyOrder })
      for (const each of [batch('delete'), batch('create')]) records.receive(each)
      expect(await records.uncommitted()).toEqual(anyOrder ? [] : ['create thing 1'])
      const together = new AnnouncedRecords(gone, { anyOrder })
      together.receive({ tx: 'tx', changes: [...coarse.changes, ...batch('update').changes] })
      expect(await together.uncommitted()).toEqual([])
    }
  })
})

test('seeds are named one by one or from one to another', () => {
  expect(seedsFrom(undefined, [1])).toEqual([1])
  expect(seedsFrom('', [1])).toEqual([1])
  expect(seedsFrom('7,1-3', [1])).toEqual([7, 1, 2, 3])
  for (const wrong of ['a', '3-1', '1-']) expect(() => seedsFrom(wrong, [1])).toThrow(RangeError)
})
