import { describe, expect, test } from 'vitest'
import { type Share, Turns, type Waiter } from '../src/turns.ts'

/** As many turns of the event loop as anything here takes. */
async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve))
}

/** How many frames of so many bytes one share lets through now. */
function taken(fair: Turns, share: Share, bytes: number): number {
  for (let count = 0; ; count++) if (!fair.take(share, bytes)) return count
}

const turnsAt = (monotonic: () => number): Turns => new Turns({ monotonic, defer: (run) => void setImmediate(run) })

const newShare = (): Share => ({ turn: -1, used: 0 })

/** A waiter with so many frames; it writes its name down for each that is served. */
function waiter(fair: Turns, name: string, frames: number, served: string[], work: () => void = () => {}): Waiter {
  const share = newShare()
  let left = frames
  return {
    serveNext() {
      if (left === 0) return 'done'
      if (!fair.take(share, 0)) return 'waits'
      left--
      served.push(name)
      work()
      return 'served'
    },
  }
}

describe('a turn', () => {
  test('lets one that is alone have 31 short frames, and what is long counts for more', async () => {
    const fair = turnsAt(() => 0)
    for (const [bytes, frames] of [
      [0, 32],
      [100, 31],
      [4_096, 16],
      [65_536, 1],
      [10_000_000, 1],
    ] as const) {
      expect(taken(fair, newShare(), bytes), `${bytes} bytes`).toBe(frames)
    }
    const share = newShare()
    taken(fair, share, 0)
    await turns(1)
    expect(taken(fair, share, 0), 'in the next turn').toBe(32)
  })

  test('lets each of many have less', async () => {
    const fair = turnsAt(() => 0)
    const shares = Array.from({ length: 32 }, newShare)
    for (const share of shares) taken(fair, share, 0)
    await turns(1)
    for (const share of shares) expect(taken(fair, share, 0)).toBe(8)
    for (let i = 0; i < 1_000; i++) taken(fair, newShare(), 0)
    await turns(1)
    expect(taken(fair, newShare(), 0)).toBe(2)
  })
})

describe('those who wait', () => {
  test('are served until they are done, none much earlier than another', async () => {
    const fair = turnsAt(() => 0)
    const served: string[] = []
    for (const name of ['a', 'b', 'c']) fair.wait(waiter(fair, name, 100, served))
    await turns(1)
    expect(count(served)).toEqual({ a: 32, b: 32, c: 32 })
    await turns(1)
    expect(count(served)).toEqual({ a: 64, b: 64, c: 64 })
    await turns(5)
    expect(count(served)).toEqual({ a: 100, b: 100, c: 100 })
  })

  test('share out the time of a turn, that of their promises too, and who got none comes first in the next', async () => {
    let now = 0
    const fair = turnsAt(() => now)
    const served: string[] = []
    const work = (): void =>
      void Promise.resolve()
        .then(() => undefined)
        .then(() => (now += 5))
    for (const name of ['a', 'b', 'c']) fair.wait(waiter(fair, name, 33, served, work))
    await turns(1)
    expect(count(served)).toEqual({ a: 32 })
    await turns(1)
    expect(count(served)).toEqual({ a: 32, b: 32 })
    await turns(1)
    expect(count(served)).toEqual({ a: 32, b: 32, c: 32 })
    await turns(4)
    expect(count(served)).toEqual({ a: 33, b: 33, c: 33 })
  })

  test('are not asked any more once they have left, also in the turn in which they do', async () => {
    const fair = turnsAt(() => 0)
    const served: string[] = []
    const b = waiter(fair, 'b', 1, served)
    const c = waiter(fair, 'c', 1, served)
    fair.wait(waiter(fair, 'a', 1, served, () => fair.leave(b)))
    fair.wait(b)
    fair.wait(c)
    fair.leave(c)
    await turns(3)
    expect(served).toEqual(['a'])
  })

  test('may come while others are served', async () => {
    const fair = turnsAt(() => 0)
    const served: string[] = []
    fair.wait(waiter(fair, 'a', 1, served, () => fair.wait(waiter(fair, 'b', 40, served))))
    await turns(4)
    expect(count(served)).toEqual({ a: 1, b: 40 })
  })
})

function count(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1
  return counts
}
