import { expect, test } from 'vitest'
import { WriteQueue } from '../src/write-queue.ts'

test('one piece of work begins when the one before has ended, well or not', async () => {
  const queue = new WriteQueue()
  const log: string[] = []
  const work = (name: string, fails = false) =>
    queue.run(async () => {
      log.push(`${name} begins`)
      await Promise.resolve()
      log.push(`${name} ends`)
      if (fails) throw new Error(name)
      return name
    })
  const results = await Promise.allSettled([work('a'), work('b', true), work('c')])
  expect(log).toEqual(['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends'])
  expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
})
