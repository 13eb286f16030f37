import { type TestClient, connect, seededRandom } from '@rtapi/testing'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterEach, expect, test } from 'vitest'
import { brokenFrame, grammarFrame } from './fuzz-message.ts'
import { closeWorlds, openWorld } from './security-world.ts'

/** Frames in all; `FUZZ=1000000` for the full run. `SEED` repeats one. */
const count = Number(process.env['FUZZ'] ?? 6_000)
const seed = Number(process.env['SEED'] ?? 1)
/** Milliseconds one frame may keep the process, but for what a busy machine takes. */
const HANG = 1_000

afterEach(closeWorlds)

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

function heap(): number {
  collect()
  return process.memoryUsage().heapUsed
}

test.each([
  ['as they might be meant', grammarFrame, ['reply', 'snapshot', 'bad_request', 'end', 'not_found']],
  ['of which characters are wrong', brokenFrame, ['bad_request', 'reply']],
] as const)(
  'frames %s end in an answer, and in nothing else',
  async (_name, make, met) => {
    const random = seededRandom(seed)
    const world = openWorld({
      limits: { rate: 1e12, burst: 1e12, misses: 1e9, badMessages: 1e9, connectionsPerUser: 1e9 },
    })
    const { reports } = world
    const codes = new Map<string, number>()
    let client: TestClient = await world.as('ada')
    let before: number | undefined
    let longest = 0
    for (let i = 0; i < count / 2; i++) {
      if (client.closed !== undefined || i % 500 === 499) {
        await client.close()
        client = await connect(world.api, { token: random.chance(0.5) ? 'ada' : 'root' })
      }
      const frame = make(random)
      const from = performance.now()
      client.sendRaw(frame)
      longest = Math.max(longest, performance.now() - from)
      if (i % 20 !== 19) continue
      await world.clock.settle()
      for (const message of client.messages.splice(0)) {
        const code = message.type === 'reply' && !message.ok ? message.error.code : message.type
        codes.set(code, (codes.get(code) ?? 0) + 1)
      }
      for (const { id } of world.notes.find()) if (id > 30) world.notes.delete(id)
      expect(reports, `SEED=${seed}, up to frame ${i}`).toEqual([])
      expect(codes.get('internal'), `SEED=${seed}, up to frame ${i}`).toBeUndefined()
      if (i > count / 8) before ??= heap()
    }
    expect(longest).toBeLessThan(HANG)
    // Something of everything was met.
    for (const code of met) expect(codes.get(code), code).toBeGreaterThan(0)
    await client.close()
    await world.clock.settle()
    expect(world.api.stats()).toMatchObject({ connections: 0, subscriptions: 0, feeds: 0 })
    if (count >= 200_000) expect(heap() - (before ?? 0)).toBeLessThan(10 * 1_048_576)
  },
  3_600_000,
)
