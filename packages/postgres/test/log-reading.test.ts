import { describe, expect, test } from 'vitest'
import { InOrder } from '../src/in-order.ts'
import { LogTransactions } from '../src/log-transactions.ts'
import { formatLsn, parseLsn } from '../src/lsn.ts'
import { RawPgoutput } from '../src/raw-pgoutput.ts'

test.each(['0/0', '16/B374D848', 'FFFFFFFF/FFFFFFFF', '1/0'])('the place %s in the log stays what it is', (text) => {
  expect(formatLsn(parseLsn(text))).toBe(text)
})

test('what cannot be read is said where it can be dealt with, and does not end the process', () => {
  let arrived = 0
  const plugin = new RawPgoutput('p', () => void arrived++)
  for (const bytes of [[], [0], [0x42, 1], [0x49, 0, 0, 0, 9, 0x4e]]) {
    expect(plugin.parse(Buffer.from(bytes))).toMatchObject({ tag: 'unreadable', error: expect.any(Error) as Error })
  }
  expect(arrived).toBe(4)
  const context = { slot: 's', coarseKeys: 1, tables: new Map(), types: new Map(), xid: 0n }
  expect(() => new LogTransactions(context).next({ tag: 'unreadable', error: new Error('broken') })).toThrow('broken')
})

test.each([
  ['in the same epoch', 0x1_0000_1000n, 0x900, '4294969600'],
  ['before the end of the last one', 0x1_0000_1000n, 0xffff_fff0, '4294967280'],
  ['after the beginning of the next one', 0x1_ffff_fff0n, 0x10, '8589934608'],
  ['in the first one', 0x1000n, 0x900, '2304'],
])('a transaction is numbered %s', (_, near, xid, expected) => {
  const transactions = new LogTransactions({
    slot: 's',
    coarseKeys: 1,
    tables: new Map(),
    types: new Map(),
    xid: near,
  })
  const time = { commitLsn: '0/1', commitTime: 0n }
  // The library reads the number with a sign.
  expect(transactions.next({ tag: 'begin', ...time, xid: xid | 0 })).toBeUndefined()
  const ended = transactions.next({ tag: 'commit', ...time, flags: 0, commitEndLsn: '0/2' })
  expect(ended?.changes.batch().tx).toBe(`pg-${expected}`)
})

describe('work in order', () => {
  function start(most: number) {
    const reached: bigint[] = []
    const order = new InOrder(most, (place) => void reached.push(place))
    const ends: ((isDone: boolean) => void)[] = []
    const begin = (place: bigint) => order.begin(place, () => new Promise((resolve) => ends.push(resolve)))
    return { order, reached, ends, begin }
  }
  const settled = () => new Promise((resolve) => setImmediate(resolve))

  test('is told of as far as it is done without a gap', async () => {
    const { order, reached, ends, begin } = start(3)
    for (const place of [1n, 2n, 3n]) await begin(place)
    ends[1]?.(true)
    await settled()
    expect(reached).toEqual([])
    ends[0]?.(true)
    await settled()
    expect(reached).toEqual([2n])
    ends[2]?.(false)
    await settled()
    expect(reached).toEqual([2n])
    expect(order.isIdle).toBe(false)
  })

  test('begins when there is a place, and not at all after the end', async () => {
    const { order, ends, begin } = start(1)
    await begin(1n)
    const second = begin(2n)
    await settled()
    expect(ends).toHaveLength(1)
    ends[0]?.(true)
    await second
    expect(ends).toHaveLength(2)
    const third = begin(3n)
    order.close()
    await third
    expect(ends).toHaveLength(2)
  })
})
