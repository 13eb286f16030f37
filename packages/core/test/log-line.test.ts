import { describe, expect, test } from 'vitest'
import { logLine, logReport } from '../src/log-line.ts'
import { RtapiError } from '../src/protocol.ts'
import type { Clock } from '../src/runtime.ts'

const read = (line: string): Record<string, unknown> => JSON.parse(line) as Record<string, unknown>

describe('a line', () => {
  test('says what failed, where, and why', () => {
    const cause = new TypeError('no such table')
    const error = new RtapiError('internal', 'The server failed.', { cause })
    const context = { during: 'request', resource: 'notes', action: 'list', connection: 'c1', user: 7 }
    expect(read(logLine(error, context))).toEqual({
      ...context,
      error: 'RtapiError',
      code: 'internal',
      message: 'The server failed.',
      cause: { error: 'TypeError', message: 'no such table', stack: expect.any(Array) as unknown[] },
    })
  })

  test.each([
    ['line ends', 'a\r\nb\u2028c\u0085d'],
    ['commands for a terminal', '\u001b[2J\u009b31m\u0007'],
    ['what turns text around', 'user\u202egnp.exe\u2066'],
    ['nothing', '\u0000'],
  ])('holds no %s, and can be read back', (_name, text) => {
    const error = new Error(text)
    error.stack = `Error: ${text}\n    at f (${text})`
    const line = logLine(error, { during: text, resource: text, user: text })
    expect(line).toMatch(/^[\x20-\x7e]+$/)
    expect(read(line)).toMatchObject({ during: text, resource: text, user: text, message: text })
  })

  test('cuts what is long, and does not go on for ever', () => {
    let error = new Error('x'.repeat(1_000_000))
    for (let i = 0; i < 100; i++) error = new Error('y'.repeat(1_000_000), { cause: error })
    const line = logLine(error, { during: 'd'.repeat(1_000_000) })
    expect(line.length).toBeLessThan(6_000)
    expect(read(line)).toMatchObject({ message: `${'y'.repeat(256)}…`, during: `${'d'.repeat(256)}…` })
    expect(read(logLine(new Error('x'.repeat(256)), { during: '' }))).toMatchObject({ message: 'x'.repeat(256) })
  })

  test.each([
    ['a text', 'no', { error: 'string', message: 'no' }],
    ['an object, which may be a payload', { password: 'secret' }, { error: 'object', message: '' }],
    ['nothing', undefined, { error: 'undefined', message: '' }],
  ])('tells of %s that was thrown', (_name, thrown, told) => {
    expect(read(logLine(thrown, { during: 'x' }))).toEqual({ during: 'x', ...told })
  })
})

test('of one kind there are a hundred lines a second, and the next one counts what is missing', () => {
  let now = 0
  const lines: string[] = []
  const report = logReport((line) => lines.push(line), { monotonic: () => now } as Clock)
  for (let i = 0; i < 150; i++) report(new Error('again'), { during: 'a' })
  expect(lines).toHaveLength(100)
  report(new Error('other'), { during: 'b' })
  expect(lines).toHaveLength(101)
  now = 1_000
  report(new Error('again'), { during: 'a' })
  report(new Error('again'), { during: 'a' })
  expect(lines.slice(101).map((line) => read(line)['dropped'])).toEqual([50, undefined])
})
