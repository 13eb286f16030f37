import { fakeClock } from '@rtapi/testing'
import { expect, test } from 'vitest'
import { Deadlines } from '../src/deadlines.ts'

const never = new Promise<never>(() => {})

test('work that ends in time ends as it does', async () => {
  const clock = fakeClock()
  const deadlines = new Deadlines(clock, 100)
  await expect(deadlines.run('answer', Promise.resolve(1))).resolves.toBe(1)
  await expect(deadlines.run('answer', Promise.reject(new Error('no')))).rejects.toThrow('no')
})

test('each wait ends after the same time, by one timer', async () => {
  const clock = fakeClock()
  const deadlines = new Deadlines(clock, 100)
  const ended: string[] = []
  const wait = (name: string): void =>
    void deadlines.run(name, never).catch(() => ended.push(`${name} ${clock.monotonic()}`))
  wait('one')
  await clock.advance(30)
  wait('two')
  wait('three')
  expect(clock.timers).toBe(1)
  await clock.advance(500)
  expect(ended).toEqual(['one 100', 'two 130', 'three 130'])
  expect(clock.timers).toBe(0)
  wait('four')
  await clock.advance(100)
  expect(ended).toHaveLength(4)
})

test('what comes too late is ignored, a failure too', async () => {
  const clock = fakeClock()
  const deadlines = new Deadlines(clock, 100)
  let reject = (error: Error): void => void error
  const promise = new Promise<never>((_, fail) => (reject = fail))
  const ended = expect(deadlines.run('answer', promise)).rejects.toMatchObject({
    code: 'unavailable',
    message: 'Redis did not answer within 100 ms',
  })
  await clock.advance(100)
  await ended
  reject(new Error('late'))
  await clock.settle()
})

test('closing ends all waits, and those that begin later', async () => {
  const clock = fakeClock()
  const deadlines = new Deadlines(clock, 100)
  const waiting = expect(deadlines.run('answer', never)).rejects.toThrow('closed')
  deadlines.close(new Error('closed'))
  await waiting
  await expect(deadlines.run('answer', Promise.reject(new Error('no')))).rejects.toThrow('closed')
  expect(clock.timers).toBe(0)
})
