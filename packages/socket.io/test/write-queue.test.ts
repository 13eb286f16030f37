import { expect, test } from 'vitest'
import { WriteQueue } from '../src/write-queue.ts'

const endOfTick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('lets everybody write once, in the order of coming, when the tick ends', async () => {
  const queue = new WriteQueue()
  const written: string[] = []
  const writer = (name: string): { flush(): void } => ({ flush: () => void written.push(name) })
  queue.add(writer('a'))
  await Promise.resolve()
  queue.add(writer('b'))
  expect(written).toEqual([])
  await endOfTick()
  expect(written).toEqual(['a', 'b'])
  await endOfTick()
  expect(written).toEqual(['a', 'b'])
})

test('what comes while it writes is written in the next tick', async () => {
  const queue = new WriteQueue()
  const written: number[] = []
  const again = { flush: (): void => void (written.push(written.length) < 3 && queue.add(again)) }
  queue.add(again)
  for (const expected of [1, 2, 3, 3]) {
    await endOfTick()
    expect(written).toHaveLength(expected)
  }
})
