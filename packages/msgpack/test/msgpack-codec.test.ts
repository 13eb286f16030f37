import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { createContext, runInContext } from 'node:vm'
import type { Json, ServerMessage } from '@rtapi/core'
import { build } from 'vite'
import { expect, test } from 'vitest'
import { msgpackCodec } from '../src/index.ts'

const written = (data: unknown): unknown => msgpackCodec.decode(msgpackCodec.encode(reply(data)))
const reply = (data: unknown): ServerMessage => ({ type: 'reply', id: 'a', ok: true, data: data as Json })

test('is named as it stands in the subprotocol', () => {
  expect(msgpackCodec.name).toBe('msgpack')
})

test.each([
  ['dates', { at: new Date(0) }],
  ['objects with a JSON form of their own', { url: new URL('http://localhost/') }],
  ['numbers that are not finite', [Number.NaN, Number.POSITIVE_INFINITY, -0, 1e300]],
  ['undefined, in objects and arrays', { a: undefined, b: [undefined, 1] }],
  ['functions and symbols', { a: () => 1, b: Symbol('b'), c: [() => 1] }],
  [
    'instances of classes',
    {
      map: new Map([[1, 2]]),
      own: new (class Own {
        x = 1
      })(),
    },
  ],
  ['objects without a prototype', Object.assign(Object.create(null) as object, { a: 1 })],
  ['sparse arrays', Object.assign([], { 2: 1 })],
  ['backslashes beside dates', { at: new Date(0), text: '\\ud800 \\\\ud800 \\' }],
])('%s are written as JSON writes them', (_, data) => {
  expect(written(data)).toEqual(JSON.parse(JSON.stringify(reply(data))))
})

test('what JSON cannot write is an error', () => {
  expect(() => written(1n)).toThrow(TypeError)
  const circle: { self?: unknown } = {}
  circle.self = circle
  expect(() => written(circle)).toThrow(TypeError)
  expect(() => msgpackCodec.encode((() => 1) as unknown as ServerMessage)).toThrow(TypeError)
})

test('lone surrogates are replaced, in texts and in keys, and nothing else is', () => {
  expect(written({ '\uD800': 'a\uDC00b\uD83D\uDE00\uD83D', '\\ud800': '\\\\\uDFFF\\ud800' })).toMatchObject({
    data: { '\uFFFD': 'a\uFFFDb\uD83D\uDE00\uFFFD', '\\ud800': '\\\\\uFFFD\\ud800' },
  })
})

test('a byte order mark at the beginning of a text or key is kept, however long it is', () => {
  for (const text of ['\uFEFF', `\uFEFF${'x'.repeat(30)}`, `\uFEFF${'x'.repeat(3_000)}`]) {
    expect(written({ [text]: text })).toMatchObject({ data: { [text]: text } })
  }
})

test('a key __proto__ is a member like others, so that one record cannot keep a client from reading the rest', () => {
  const data = JSON.parse('{"__proto__":{"a":1},"b":2}') as unknown
  expect(JSON.stringify(written(data))).toBe(JSON.stringify(reply(data)))
})

test('256 levels are written and read, and more are an error in both directions', () => {
  const nested = (levels: number, innermost: unknown): readonly ServerMessage[] => {
    let value = innermost
    for (let i = 1; i < levels; i++) value = [value]
    return value as readonly ServerMessage[]
  }
  for (const innermost of [1, 'a', [], {}]) {
    const frame = nested(256, innermost)
    expect(msgpackCodec.decode(msgpackCodec.encode(frame))).toEqual(frame)
    expect(() => msgpackCodec.encode(nested(257, innermost))).toThrow('257')
    const deeper = Buffer.concat([Uint8Array.of(0x91), msgpackCodec.encode(frame) as Uint8Array])
    expect(() => msgpackCodec.decode(deeper)).toThrow('256 levels')
  }
})

test('announced lengths without data take neither memory nor time', () => {
  const heads = [0xdd, 0xdf, 0xdb].map((head) => Uint8Array.of(head, 0xee, 0x6b, 0x28, 0x00, 0x01, 0x01))
  const before = process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers
  for (let i = 0; i < 3_000; i++) {
    for (const frame of heads) expect(() => msgpackCodec.decode(frame)).toThrow('cut short')
  }
  expect(process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers - before).toBeLessThan(200 * 1_048_576)
})

test('runs where there is nothing of Node', async () => {
  const folder = join(import.meta.dirname, '../src')
  for (const name of readdirSync(folder)) expect(readFileSync(join(folder, name), 'utf8')).not.toMatch(/node:|Buffer\b/)
  const lib = { entry: join(folder, 'index.ts'), formats: ['iife' as const], name: 'rtapi' }
  const built = await build({ configFile: false, logLevel: 'error', build: { write: false, lib } })
  const [code] = [built].flat().flatMap((result) => ('output' in result ? result.output[0].code : []))
  const context = createContext({ TextEncoder, TextDecoder, frame: reply({ text: 'ä', long: 'ö'.repeat(300) }) })
  runInContext(code ?? '', context)
  const text: unknown = runInContext(
    'JSON.stringify(rtapi.msgpackCodec.decode(rtapi.msgpackCodec.encode(frame)))',
    context,
  )
  expect(text).toBe(JSON.stringify(reply({ text: 'ä', long: 'ö'.repeat(300) })))
})
