import type { PresenceKeeper, PresenceWrite } from '@rtapi/core'
import { check, checkEqual } from './conformance.ts'
import type { LayerCase, LayerRun } from './layer-run.ts'

/** What layers promise of presence, if they keep any. */
export const layerPresence: readonly LayerCase[] = (
  [
    [
      'what a process says is known to all, until it says otherwise',
      async ({ one, two }) => {
        const text = '{"é 日 😀": "\\u0000 \u2028 "}'
        check(await one.write(said('a', { user: text, 'é 日 😀': '', gone: 'x' }, true)), 'the first write')
        check(await one.write(said('a', { gone: undefined, more: 'y' })), 'the second write')
        for (const keeper of [one, two]) {
          const all = { user: text, 'é 日 😀': '', more: 'y' }
          checkEqual(await read(keeper, 'all'), { a: all }, 'all that is said')
          checkEqual(await read(keeper, ['more', 'gone', 'user']), { a: { user: text, more: 'y' } }, 'some of it')
        }
      },
    ],
    [
      'each process speaks for itself',
      async ({ one, two }) => {
        await one.write(said('a', { user: '1', only: 'a' }, true))
        await two.write(said('b', { user: '2' }, true))
        await two.write(said('c', {}, true))
        await one.write(said('a', { user: '3' }))
        checkEqual(await read(two, ['user']), { a: { user: '3' }, b: { user: '2' }, c: {} }, 'what the three say')
        await one.write(said('a', { user: undefined, only: undefined }))
        checkEqual(await read(one, ['user', 'only']), { a: {}, b: { user: '2' }, c: {} }, 'what the two others say')
        check(await one.write(said('a', { user: '4' })), 'a write of a process that has nothing more to say')
      },
    ],
    [
      'to say everything anew takes back what was said before',
      async ({ one, two }) => {
        await one.write(said('a', { user: '1', old: 'x' }, true))
        check(await one.write(said('a', { user: '2' }, true)), 'a write that says everything anew')
        checkEqual(await read(two, 'all'), { a: { user: '2' } }, 'what is said anew')
      },
    ],
    [
      'a process that is not known is told so, and nothing of what it says is kept',
      async ({ one, two }) => {
        checkEqual(await one.write(said('a', { user: '1' })), false, 'the answer to a process that is not known')
        checkEqual(await read(two, 'all'), {}, 'what is said by it')
      },
    ],
    [
      'what a process has said is forgotten when it says so, and that of others is not',
      async ({ one, two }) => {
        await one.write(said('a', { user: '1' }, true))
        await two.write(said('b', { user: '2' }, true))
        await one.forget('a')
        for (const keeper of [one, two]) checkEqual(await read(keeper, 'all'), { b: { user: '2' } }, 'what is left')
        checkEqual(await one.write(said('a', { user: '3' })), false, 'the answer to a process that is forgotten')
        check(await one.write(said('a', { user: '3' }, true)), 'a write that says everything anew')
        checkEqual(await read(two, ['user']), { a: { user: '3' }, b: { user: '2' } }, 'after it came back')
      },
    ],
    [
      'what a process says ends with its time, all of it, unless it writes again',
      async ({ one, two, pass }) => {
        await one.write({ ...said('a', { early: '1' }, true), ttl: SHORT })
        await one.write({ ...said('a', { late: '2' }), ttl: SHORT })
        await two.write(said('b', { user: '1' }, true))
        await pass(SHORT, async () => Object.keys(await read(two, 'all')).join() === 'b')
        checkEqual(await read(one, ['early', 'user']), { b: { user: '1' } }, 'what is left')
        checkEqual(await one.write(said('a', { more: '3' })), false, 'the answer to a process whose time is over')
      },
    ],
    [
      'a sign of life keeps all that a process has said',
      async ({ one, two, pass }) => {
        // A machine that is busy may let the first time pass before there is a sign.
        for (let ttl = SHORT; ; ttl *= 2) {
          await two.write({ ...said('witness', {}, true), ttl })
          await one.write({ ...said('a', { user: '1' }, true), ttl })
          const isKept = await one.write(said('a', {}))
          if (!isKept && ttl < 10_000) continue
          check(isKept, 'a sign of life of a process whose time is not over')
          await pass(ttl, async () => !Object.keys(await read(two, 'all')).includes('witness'))
          return checkEqual(await read(two, 'all'), { a: { user: '1' } }, 'what is kept by a sign of life')
        }
      },
    ],
    [
      'a thousand labels are said at once, and many thousand in all',
      async ({ one, two }) => {
        for (let part = 0; part < 5; part++) {
          const values = Array.from({ length: 1_000 }, (_, i) => [`u${part * 1_000 + i}`, 'x'.repeat(100)] as const)
          check(await one.write(said('a', Object.fromEntries(values), part === 0)), `part ${part}`)
        }
        checkEqual(Object.keys((await read(two, 'all'))['a'] ?? {}).length, 5_000, 'labels in all')
        checkEqual(
          await read(two, ['u0', 'u4999', 'u5000']),
          { a: { u0: 'x'.repeat(100), u4999: 'x'.repeat(100) } },
          'some',
        )
      },
    ],
  ] satisfies readonly PresenceCase[]
).map(([name, body]): LayerCase => [name, (run) => tryPresence(run, body)])

interface PresenceRun {
  readonly one: PresenceKeeper
  readonly two: PresenceKeeper
  /** Waits until so many milliseconds have passed, and it is so. */
  readonly pass: (milliseconds: number, isSo: () => Promise<boolean>) => Promise<void>
}

type PresenceCase = readonly [name: string, body: (run: PresenceRun) => Promise<void>]

const [SHORT, LONG] = [100, 600_000]

async function tryPresence({ one, two, subject, timeout }: LayerRun, body: PresenceCase[1]): Promise<void> {
  const keepers = [one.layer.presence, two.layer.presence] as const
  if (keepers[0] === undefined || keepers[1] === undefined) {
    // It is left out whole or not at all.
    check(keepers[0] === keepers[1], 'one of two equal layers keeps presence and the other does not')
    return
  }
  await body({
    one: keepers[0],
    two: keepers[1],
    async pass(milliseconds, isSo) {
      await subject.pass?.(milliseconds)
      const until = performance.now() + timeout + milliseconds
      while (!(await isSo())) {
        check(performance.now() < until, `what a process said was not gone after ${milliseconds} ms`)
        await new Promise((resolve) => setTimeout(resolve, 10))
      }
    },
  })
}

function said(process: string, values: Readonly<Record<string, string | undefined>>, anew = false): PresenceWrite {
  return { process, values: new Map(Object.entries(values)), ttl: LONG, anew }
}

async function read(
  keeper: PresenceKeeper,
  labels: readonly string[] | 'all',
): Promise<Readonly<Record<string, Readonly<Record<string, string>>>>> {
  const presences = await keeper.read(labels)
  return Object.fromEntries([...presences].map(([process, values]) => [process, Object.fromEntries(values)]))
}
