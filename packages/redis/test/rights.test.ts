import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type RedisServer, startRedis } from '../../../test/services/redis.ts'
import { redisLayer } from '../src/index.ts'
import { allowForBusyMachine, eventually } from './support/eventually.ts'

allowForBusyMachine()

let redis: RedisServer

beforeAll(async () => void (redis = await startRedis()))
afterAll(() => redis.stop())

/** The rights that the documentation asks for, as they stand there. */
function documented(): readonly string[] {
  const page = readFileSync(join(import.meta.dirname, '../README.md'), 'utf8')
  const line = page.split('\n').find((text) => text.startsWith('- **Rights**')) ?? ''
  return [...line.matchAll(/`([^`]+)`/g)].flatMap(([, rights = '']) => rights.split(' '))
}

test('a user of Redis with the rights of the documentation, and no others, is enough', async () => {
  const rights = documented()
  expect(rights).toContain('+evalsha')
  expect(await redis.command('ACL', 'SETUSER', 'rtapi', 'on', '>password', ...rights)).toBe('OK')
  const reports: unknown[] = []
  const layer = redisLayer(`redis://rtapi:password@127.0.0.1:${redis.port}`, {
    timeout: 10_000,
    history: { entries: 2, bytes: 200 },
    entrySize: 500,
    checkInterval: 50,
    probeInterval: 50,
    report: (error) => void reports.push(error),
  })
  const came: number[] = []
  let losses = 0
  await layer.open({ deliver: (_, { seq }) => void came.push(seq), lost: () => void losses++ })
  const { epoch } = await layer.join('rt:a')
  // Trimmed by number and by bytes, read, compared, and ended.
  for (const length of [1, 1, 1, 150, 300])
    await layer.publish('rt:a', { type: 'coarse', tx: 'x'.repeat(length), entity: 'e' })
  await eventually(() => expect(came).toEqual([1, 2, 3, 4, 5]))
  expect(await layer.history('rt:a', { epoch, seq: 5 })).toEqual([])
  await expect(layer.publish('rt:a', { type: 'coarse', tx: 'x'.repeat(500), entity: 'e' })).rejects.toThrow()
  await eventually(() => expect(losses).toBe(1))
  const values = new Map([['user', '1']])
  const write = { process: 'p', values, ttl: 60_000, anew: true }
  expect(await layer.presence.write(write)).toBe(true)
  const none = new Map([['user', undefined]])
  expect(await layer.presence.write({ ...write, values: none, anew: false })).toBe(true)
  for (const labels of ['all', ['user']] as const) expect((await layer.presence.read(labels)).size).toBe(1)
  await layer.presence.forget('p')
  const before = String(await redis.command('INFO', 'commandstats'))
  await eventually(async () => {
    const calls = (text: string): number => Number(/cmdstat_publish:calls=(\d+)/.exec(text)?.[1])
    expect(calls(String(await redis.command('INFO', 'commandstats')))).toBeGreaterThan(calls(before) + 2)
  })
  await layer.leave('rt:a')
  await layer.close()
  expect(reports).toEqual([])
  expect(await redis.command('ACL', 'LOG')).toEqual([])
})
