import { resultSuite } from '@rtapi/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type RedisCluster, startRedis, startRedisCluster } from '../../../test/services/redis.ts'
import { redisResults } from '../src/index.ts'

const held = { owner: 'a'.repeat(64), key: 'k', run: 'r', request: '1'.repeat(64), ttl: 60_000, max: 10 }

describe.each([
  { kind: 'one server', count: 1 },
  { kind: 'a cluster of three masters', count: 3 },
])('redisResults on $kind keeps results', ({ count }) => {
  let redis: Pick<RedisCluster, 'masters' | 'stop'>
  beforeAll(async () => void (redis = count === 1 ? await alone() : await startRedisCluster(count)), 20_000)
  afterAll(() => redis.stop())

  const cases = resultSuite({
    open() {
      const url = redis.masters[0]?.url ?? ''
      const prefix = `test:${crypto.randomUUID()}`
      const keeper = () => redisResults(count === 1 ? url : { rootNodes: [{ url }] }, { prefix })
      return { keepers: [keeper(), keeper()] }
    },
  })
  for (const { name, run } of cases) test(name, run)
})

describe('redisResults', () => {
  let redis: Awaited<ReturnType<typeof startRedis>>
  beforeAll(async () => void (redis = await startRedis()), 20_000)
  afterAll(() => redis.stop())

  test('leaves nothing on the server for longer than results are kept', async () => {
    const prefix = `test:${crypto.randomUUID()}`
    const keeper = redisResults(redis.url, { prefix })
    for (const key of ['a', 'b']) await keeper.reserve({ ...held, key })
    await keeper.settle({ ...held, key: 'a' }, 'done', 60_000)
    const keys = (await redis.command('KEYS', `${prefix}*`)) as string[]
    expect(keys).toHaveLength(3)
    for (const key of keys) {
      const left = Number(await redis.command('PTTL', key))
      expect(left).toBeGreaterThan(0)
      expect(left).toBeLessThanOrEqual(60_000)
    }
    await keeper.close()
  })

  test('of APIs with different prefixes have nothing to do with each other', async () => {
    const keepers = ['one', 'two'].map((name) => redisResults(redis.url, { prefix: `test:${name}` }))
    for (const keeper of keepers) expect(await keeper.reserve(held)).toEqual({ state: 'reserved' })
    for (const keeper of keepers) await keeper.close()
  })

  test('work on a server that has forgotten the scripts', async () => {
    const keeper = redisResults(redis.url, { prefix: `test:${crypto.randomUUID()}` })
    await keeper.reserve(held)
    await redis.command('SCRIPT', 'FLUSH')
    await keeper.settle(held, 'done', 60_000)
    expect(await keeper.reserve(held)).toMatchObject({ state: 'settled', result: 'done' })
    await keeper.close()
  })

  test('reject while there is no server, telling nothing of it, and not once closed', async () => {
    const gone = await startRedis()
    const keeper = redisResults(gone.url, { timeout: 500 })
    await gone.stop()
    const failure = keeper.reserve(held)
    await expect(failure).rejects.toMatchObject({ code: 'unavailable' })
    await expect(failure).rejects.not.toThrow(/127\.0\.0\.1|ECONN/)
    await keeper.close()
    await expect(keeper.reserve(held)).rejects.toMatchObject({ code: 'unavailable' })
  })

  test('refuse what is no connection or no prefix', () => {
    expect(() => redisResults(5 as never)).toThrow(TypeError)
    expect(() => redisResults(redis.url, { prefix: '{a}' })).toThrow(TypeError)
  })
})

async function alone() {
  const server = await startRedis()
  return { masters: [server], stop: () => server.stop() }
}
