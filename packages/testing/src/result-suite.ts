import type { HeldKey, KnownKey, MaybePromise, Reservation, ResultKeeper } from '@rtapi/core'
import { type ConformanceCase, check, checkEqual } from './conformance.ts'

/** Two processes that keep results together. */
export interface ResultSubject {
  readonly keepers: readonly [ResultKeeper, ResultKeeper]
}

export interface ResultFactory {
  /** Called once for each case; nothing is kept yet. */
  open(): MaybePromise<ResultSubject>
  /** Milliseconds within which what is over must be gone. @default 20_000 */
  readonly timeout?: number
}

/** What every `ResultKeeper` promises. */
export function resultSuite(factory: ResultFactory): readonly ConformanceCase[] {
  return cases.map(([name, body]) => ({
    name,
    async run() {
      const { keepers } = await factory.open()
      try {
        await body(...keepers, factory.timeout ?? 20_000)
      } finally {
        for (const keeper of keepers) await keeper.close()
      }
    },
  }))
}

type ResultCase = readonly [
  name: string,
  body: (one: ResultKeeper, two: ResultKeeper, timeout: number) => Promise<void>,
]

const LONG = 600_000
const [ADA, BOB] = ['a'.repeat(64), 'b'.repeat(64)]
const [CREATE, UPDATE] = ['1'.repeat(64), '2'.repeat(64)]

function reservation(given: Partial<Reservation> = {}): Reservation {
  return { owner: ADA, key: 'k', run: 'first', request: CREATE, ttl: LONG, max: 100, ...given }
}

const second = { run: 'second' }
const running: KnownKey = { state: 'running', request: CREATE }

const cases: readonly ResultCase[] = [
  [
    'a free key is reserved by one alone of all that ask at once',
    async (one, two) => {
      const asked = Array.from({ length: 40 }, async (_, i) =>
        (i % 2 === 0 ? one : two).reserve(reservation({ run: `run-${i}` })),
      )
      const states = (await Promise.all(asked)).map(({ state }) => state)
      checkEqual(states.filter((state) => state === 'reserved').length, 1, 'runs that got the key')
      checkEqual(states.filter((state) => state === 'running').length, 39, 'runs that found it held')
    },
  ],
  [
    'what is held is known everywhere, with what was asked',
    async (one, two) => {
      await one.reserve(reservation())
      for (const keeper of [one, two])
        checkEqual(await keeper.reserve(reservation({ ...second, request: UPDATE })), running, 'a held key')
    },
  ],
  [
    'what has settled is known everywhere, as it was written down',
    async (one, two) => {
      const results = ['{"outcome":{}}', '', '"é 日 😀 \\u0000 \u2028"', 'x'.repeat(16_384)]
      for (const [i, result] of results.entries()) {
        const held = reservation({ key: `k-${i}` })
        await one.reserve(held)
        await one.settle(held, result, LONG)
        const wanted: KnownKey = { state: 'settled', request: CREATE, result }
        for (const keeper of [one, two])
          checkEqual(await keeper.reserve({ ...held, ...second, request: UPDATE }), wanted, 'a settled key')
      }
    },
  ],
  [
    'what was released is free again',
    async (one, two) => {
      await one.reserve(reservation())
      await one.release(reservation())
      checkEqual(await two.reserve(reservation(second)), { state: 'reserved' }, 'a released key')
      checkEqual(await one.reserve(reservation()), running, 'a key reserved again')
    },
  ],
  [
    'only the run that holds a key settles or releases it, and only once',
    async (one, two) => {
      await one.reserve(reservation())
      await two.settle(reservation(second), 'stolen', LONG)
      await two.release(reservation(second))
      checkEqual(await two.reserve(reservation(second)), running, 'a key that another run wanted to end')
      await one.settle(reservation(), 'first', LONG)
      await one.settle(reservation(), 'again', LONG)
      await one.release(reservation())
      const wanted = { state: 'settled', request: CREATE, result: 'first' }
      checkEqual(await two.reserve(reservation(second)), wanted, 'a key that has settled')
    },
  ],
  [
    'what nobody holds is neither settled nor released',
    async (one, two) => {
      await one.settle(reservation(), 'nothing', LONG)
      await one.release(reservation())
      checkEqual(await two.reserve(reservation()), { state: 'reserved' }, 'a key that was never reserved')
    },
  ],
  [
    'equal keys of different owners have nothing to do with each other',
    async (one, two) => {
      await one.reserve(reservation())
      checkEqual(await two.reserve(reservation({ owner: BOB })), { state: 'reserved' }, "another owner's key")
      await two.settle(reservation({ owner: BOB }), "bob's", LONG)
      checkEqual(await one.reserve(reservation(second)), running, "the first owner's key")
    },
  ],
  [
    'an owner has so many keys and no more; others and known keys are not concerned',
    async (one, two) => {
      const max = 3
      for (let i = 0; i < max; i++) {
        const held = reservation({ key: `k-${i}`, max })
        checkEqual(await (i % 2 === 0 ? one : two).reserve(held), { state: 'reserved' }, `key ${i + 1} of ${max}`)
        if (i > 0) await one.settle(held, 'done', LONG)
      }
      const more = await two.reserve(reservation({ key: 'more', max }))
      check(more.state === 'full', `a key above the limit: expected full, found ${more.state}`)
      check(more.retryAfter > 0 && more.retryAfter <= LONG, `retryAfter ${more.retryAfter} is within the time of a key`)
      checkEqual((await one.reserve(reservation({ key: 'k-0', ...second, max }))).state, 'running', 'a held key')
      checkEqual((await one.reserve(reservation({ key: 'k-1', ...second, max }))).state, 'settled', 'a settled key')
      checkEqual(await one.reserve(reservation({ owner: BOB, max })), { state: 'reserved' }, 'a key of another owner')
      await one.release(reservation({ key: 'k-0' }))
      checkEqual(await two.reserve(reservation({ key: 'more', max })), { state: 'reserved' }, 'a key after a release')
    },
  ],
  [
    'a key is forgotten when its time is over, held or settled, and makes room',
    async (one, two, timeout) => {
      const held = reservation({ key: 'held', ttl: 50, max: 2 })
      const settled = reservation({ key: 'settled', ttl: LONG, max: 2 })
      await one.reserve(held)
      await one.reserve(settled)
      await one.settle(settled, 'done', 50)
      for (const key of ['held', 'settled', 'new'])
        await eventually(timeout, async () => {
          const { state } = await two.reserve(reservation({ key, ...second, max: 3 }))
          return state === 'reserved'
        })
    },
  ],
  [
    'a key that settles is kept from then on',
    async (one, two) => {
      // A machine that is busy may let the first time pass before the key is settled.
      for (let ttl = 500; ; ttl *= 2) {
        const held = reservation({ key: `k-${ttl}`, ttl })
        const witness: HeldKey = { ...held, key: `w-${ttl}` }
        await one.reserve(held)
        await one.settle(held, 'done', LONG)
        const isKept = (await two.reserve({ ...held, ...second })).state === 'settled'
        if (!isKept && ttl < 8_000) continue
        await two.reserve({ ...held, ...witness })
        await eventually(ttl * 20, async () => (await one.reserve({ ...held, ...witness })).state === 'reserved')
        checkEqual((await two.reserve({ ...held, ...second })).state, 'settled', 'a key whose first time is over')
        return
      }
    },
  ],
]

async function eventually(timeout: number, holds: () => Promise<boolean>): Promise<void> {
  const until = performance.now() + timeout
  while (!(await holds())) {
    check(performance.now() < until, `a key was not forgotten within ${timeout} ms`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
