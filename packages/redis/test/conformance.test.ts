import { layerSuite } from '@rtapi/testing'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { type RedisCluster, startRedis, startRedisCluster } from '../../../test/services/redis.ts'
import { redisLayer } from '../src/index.ts'
import { allowForBusyMachine } from './support/eventually.ts'

allowForBusyMachine()

const history = 20

describe.each([
  { kind: 'one server', count: 1 },
  { kind: 'a cluster of three masters', count: 3 },
])('the Redis layer on $kind is a channel layer', ({ count }) => {
  let redis: Pick<RedisCluster, 'masters' | 'stop'>
  beforeAll(async () => void (redis = count === 1 ? await alone() : await startRedisCluster(count)))
  afterAll(() => redis.stop())

  const cases = layerSuite({
    history,
    open() {
      const [server] = redis.masters
      const url = server?.url ?? ''
      const prefix = `test:${crypto.randomUUID()}`
      const layer = () =>
        redisLayer(count === 1 ? url : { rootNodes: [{ url }] }, {
          prefix,
          timeout: 10_000,
          history: { entries: history },
        })
      return {
        layers: [layer(), layer()],
        forget: async (group) => void (await server?.command('DEL', `${prefix}:{${group}}:meta`)),
      }
    },
  })
  for (const { name, run } of cases) test(name, run)
})

async function alone() {
  const server = await startRedis()
  return { masters: [server], stop: () => server.stop() }
}
