import { fakeClock } from '@rtapi/testing'
import { expect, test } from 'vitest'

test('time stands still until it is advanced, and both clocks advance alike', async () => {
  const clock = fakeClock(1_000)
  expect([clock.now(), clock.monotonic()]).toEqual([1_000, 0])
  await clock.advance(250)
  expect([clock.now(), clock.monotonic()]).toEqual([1_250, 250])
  clock.shift(-600_000)
  expect([clock.now(), clock.monotonic()]).toEqual([-598_750, 250])
})

test('timers run at their time, in the order of their times, and at one time in the order of setting', async () => {
  const clock = fakeClock()
  const ran: [string, number][] = []
  const note = (name: string) => () => void ran.push([name, clock.monotonic()])
  clock.setTimer(30, note('late'))
  clock.setTimer(10, note('first'))
  clock.setTimer(10, note('second'))
  clock.setTimer(20, () => clock.setTimer(5, note('set by a timer')))
  await clock.advance(29)
  expect(ran).toEqual([
    ['first', 10],
    ['second', 10],
    ['set by a timer', 25],
  ])
  expect(clock.timers).toBe(1)
  await clock.advance(1)
  expect(ran.at(-1)).toEqual(['late', 30])
  expect(clock.timers).toBe(0)
})

test('a timer that is undone does not run', async () => {
  const clock = fakeClock()
  const cancel = clock.setTimer(10, () => expect.unreachable())
  cancel()
  expect(clock.timers).toBe(0)
  await clock.advance(100)
})

test('promises settle between two timers', async () => {
  const clock = fakeClock()
  const ran: string[] = []
  const chain = async (name: string): Promise<void> => {
    for (let i = 0; i < 50; i++) await Promise.resolve()
    ran.push(name)
  }
  clock.setTimer(1, () => void chain('the chain of the first'))
  clock.setTimer(2, () => ran.push('the second'))
  await clock.advance(2)
  expect(ran).toEqual(['the chain of the first', 'the second'])
})

test('deferred work runs at tick, and what it defers at the next', () => {
  const clock = fakeClock()
  const ran: number[] = []
  clock.defer(() => {
    ran.push(1)
    clock.defer(() => ran.push(2))
  })
  expect(ran).toEqual([])
  clock.tick()
  expect(ran).toEqual([1])
  expect(clock.deferred).toBe(1)
  clock.tick()
  expect(ran).toEqual([1, 2])
})

test('settle runs deferred work and promises until nothing moves, however they wait for each other', async () => {
  const clock = fakeClock()
  let steps = 0
  const step = (): void => {
    steps++
    if (steps < 20) void Promise.resolve().then(() => clock.defer(step))
  }
  clock.defer(step)
  await clock.settle()
  expect(steps).toBe(20)
  expect(clock.deferred).toBe(0)
})
