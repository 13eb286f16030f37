import { expect, test } from 'vitest'
import { type RedisLayerOptions, redisLayer } from '../src/index.ts'
import { settingsOf } from '../src/layer-options.ts'

test('without options there are the defaults of the documentation', () => {
  expect(settingsOf({})).toMatchObject({
    prefix: 'rtapi',
    secrets: [],
    timeout: 2_000,
    history: { entries: 300, bytes: 524_288, age: 300_000, groupAge: 2_592_000_000 },
    entrySize: 1_048_576,
    checkInterval: 10_000,
    probeInterval: 5_000,
  })
})

test('one secret is a list of one', () => {
  expect(settingsOf({ secret: 'one' }).secrets).toEqual(['one'])
  expect(settingsOf({ secret: ['one', 'two'] }).secrets).toEqual(['one', 'two'])
})

test.each<[RedisLayerOptions, message: string]>([
  [{ prefix: 'a b' }, 'a prefix is'],
  [{ secret: '' }, 'a secret is a text that is not empty'],
  [{ secret: ['new', ''] }, 'a secret is a text that is not empty'],
  [{ secret: [undefined as unknown as string] }, 'a secret is a text that is not empty'],
  [{ timeout: 0 }, 'timeout is a whole number from 1 to 2147483647, and not 0'],
  [{ timeout: 2 ** 31 }, 'timeout is'],
  [{ checkInterval: Number.POSITIVE_INFINITY }, 'checkInterval is'],
  [{ probeInterval: 1.5 }, 'probeInterval is'],
  [{ entrySize: -1 }, 'entrySize is'],
  [{ history: { entries: 0 } }, 'history.entries is a whole number from 1 to 9007199254740991, and not 0'],
  [{ history: { bytes: Number.NaN } }, 'history.bytes is'],
  [{ history: { age: '5m' as unknown as number } }, 'history.age is'],
  [{ history: { groupAge: 0.5 } }, 'history.groupAge is'],
])('%j is refused when the layer is made, not when it is used', (options, message) => {
  expect(() => redisLayer('redis://127.0.0.1:1', options)).toThrow(TypeError)
  expect(() => redisLayer('redis://127.0.0.1:1', options)).toThrow(message)
})
