import { expect, test } from 'vitest'
import { FrameLog } from '../src/frame-log.ts'

const utf8 = new TextDecoder()

function logOf(...frames: readonly string[]): FrameLog {
  const log = new FrameLog()
  for (const data of frames) log.append({ data })
  return log
}

const textsAfter = (log: FrameLog, cursor: number, most = Infinity): readonly string[] =>
  log.after(cursor, most).map((bytes) => utf8.decode(bytes))

test('frames are numbered from 1 and counted in bytes', () => {
  const log = logOf('a', 'ä')
  expect([log.start, log.last, log.size]).toEqual([0, 2, 3])
  expect(textsAfter(log, 0)).toEqual(['a', 'ä'])
  expect(textsAfter(log, 1)).toEqual(['ä'])
  expect(textsAfter(log, 2)).toEqual([])
  expect(log.at(0) ?? log.at(3)).toBeUndefined()
})

test('what is forgotten keeps its number', () => {
  const log = logOf('a', 'bb', 'c')
  expect(log.forget(2)).toBe(3)
  expect([log.start, log.last, log.size]).toEqual([2, 3, 1])
  expect(log.forget(1), 'what was forgotten before').toBe(0)
  expect(textsAfter(log, 2)).toEqual(['c'])
  expect(log.forget(99)).toBe(1)
  expect([log.start, log.last, log.size]).toEqual([3, 3, 0])
  log.append({ data: 'd' })
  expect(textsAfter(log, 3)).toEqual(['d'])
})

test('as many as fit, and one at least', () => {
  const log = logOf('aaa', 'b', 'c', 'dddd')
  expect(textsAfter(log, 0, 4)).toEqual(['aaa', 'b'])
  expect(textsAfter(log, 2, 4)).toEqual(['c'])
  expect(textsAfter(log, 3, 1)).toEqual(['dddd'])
})

test('a frame that goes to many is turned into bytes once', () => {
  const frame = { data: 'shared' }
  const [one, two] = [new FrameLog(), new FrameLog()]
  one.append(frame)
  two.append(frame)
  expect(one.at(1)).toBe(two.at(1))
})
