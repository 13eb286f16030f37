import type { LayerEntry, Position } from '@rtapi/core'
import { check, checkEqual, checkFails } from './conformance.ts'
import { turn } from './event-loop.ts'
import { type LayerCase, type LayerProcess, type LayerRun, checkDense } from './layer-run.ts'
import { seededRandom } from './seeded-random.ts'

/** What layers promise of joining, leaving and closing. */
export const layerMembership: readonly LayerCase[] = [
  [
    'join answers the position after which everything comes',
    async (run) => {
      const group = run.group()
      await run.two.layer.join(group)
      for (let i = 0; i < 3; i++) await run.two.layer.publish(group, run.entry(i))
      const joined = await run.one.layer.join(group)
      checkEqual(joined.seq, 3, 'the number at which the process joins')
      await run.two.layer.publish(group, run.entry())
      await run.one.until(group, 1)
      await run.settle()
      const late = run.one.of(group).filter(({ position }) => position.seq > joined.seq)
      checkDense(late, joined.epoch, 4, 'after the join')
      checkEqual(late.length, 1, 'entries after the join')
    },
  ],
  [
    'what is published while a process joins comes to it, unless its position says that it was before',
    async (run) => {
      for (let i = 0; i < 10; i++) {
        const group = run.group()
        await run.two.layer.join(group)
        const joined: Position[] = []
        const join = awaitedLater(Promise.resolve(run.one.layer.join(group)), (position) => {
          joined.push(position)
          return position
        })
        let last = await run.two.layer.publish(group, run.entry())
        while (joined.length === 0) {
          await turn()
          last = await run.two.layer.publish(group, run.entry())
        }
        const { epoch, seq } = await join
        last = await run.two.layer.publish(group, run.entry())
        await run.settle()
        const came = run.one.of(group).filter(({ position }) => position.seq > seq)
        checkDense(came, epoch, seq + 1, `after a join at ${seq}`)
        checkEqual(came.at(-1)?.position, last, 'the last entry that came')
      }
    },
  ],
  [
    'who has left gets nothing more, and the others do',
    async (run) => {
      const group = run.group()
      await run.one.layer.join(group)
      await run.two.layer.join(group)
      await run.two.layer.publish(group, run.entry())
      await run.one.until(group, 1)
      await run.one.layer.leave(group)
      await run.two.layer.publish(group, run.entry())
      await run.one.layer.publish(group, run.entry())
      await run.two.until(group, 3)
      await run.settle()
      checkEqual(run.one.of(group).length, 1, 'entries that came to who has left')
    },
  ],
  [
    'who comes back goes on in the same log, and finds what it missed in the history',
    async (run) => {
      const group = run.group()
      const start = await run.one.layer.join(group)
      await run.one.layer.leave(group)
      const missed = await run.two.layer.publish(group, run.entry('missed'))
      const again = await run.one.layer.join(group)
      checkEqual(again, missed, 'the position at which it comes back')
      checkEqual(again.epoch, start.epoch, 'the epoch')
      const history = await run.one.layer.history(group, start)
      checkEqual(history === 'gone' ? history : history.length, 1, 'missed entries in the history')
      await run.two.layer.publish(group, run.entry('next'))
      checkDense(await run.one.until(group, 1), again.epoch, again.seq + 1, 'after it came back')
    },
  ],
  [
    'to join twice is to join once, and to leave a group that one has not joined is nothing',
    async (run) => {
      const group = run.group()
      await run.one.layer.leave(group)
      const first = await run.one.layer.join(group)
      checkEqual(await run.one.layer.join(group), first, 'the position of the second join')
      await run.two.layer.publish(group, run.entry())
      await run.settle()
      checkEqual(run.one.of(group).length, 1, 'entries after two joins')
      await run.one.layer.leave(group)
      await run.two.layer.publish(group, run.entry())
      await run.settle()
      checkEqual(run.one.of(group).length, 1, 'entries after one leave')
    },
  ],
  [
    'a process may leave within deliver',
    async (run) => {
      const group = run.group()
      const other = run.group()
      await run.one.layer.join(group)
      await run.one.layer.join(other)
      const left: Promise<void>[] = []
      run.one.onDeliver = (delivery) => {
        if (delivery.group === group && left.length === 0) left.push(Promise.resolve(run.one.layer.leave(group)))
      }
      await run.one.layer.publish(group, run.entry())
      await run.one.until(group, 1)
      await Promise.all(left)
      await run.two.layer.publish(group, run.entry())
      await run.two.layer.publish(other, run.entry())
      await run.settle()
      checkEqual([run.one.of(group).length, run.one.of(other).length], [1, 1], 'entries of the two groups')
    },
  ],
  [
    'a layer that is closed delivers nothing and refuses calls, and the other goes on',
    async (run) => {
      const group = run.group()
      await run.one.layer.join(group)
      await run.two.layer.join(group)
      await run.closeLayer(run.one)
      await run.two.layer.publish(group, run.entry())
      await run.two.until(group, 1)
      await run.settle()
      checkEqual(run.one.of(group), [], 'entries that came to the layer that is closed')
      await checkFails(async () => run.one.layer.join(group), 'a closed layer took a join')
      await checkFails(async () => run.one.layer.publish(group, run.entry()), 'a closed layer took a publish')
    },
  ],
]

const GROUPS = 3
const STEPS = 120

/** One process joins and leaves at random while both publish: in between it must get each entry, in order. */
export async function tryRandomMembership(run: LayerRun, seed: number): Promise<void> {
  const random = seededRandom(seed)
  const groups = Array.from({ length: GROUPS }, () => new Membership(run, run.group()))
  for (const { group } of groups) await run.two.layer.join(group)
  for (let step = 0; step < STEPS; step++) {
    const membership = random.pick(groups)
    const kind = random.integer(6)
    if (kind === 0) membership.join()
    else if (kind === 1) membership.leave()
    else membership.publish(random.chance(0.5) ? run.one : run.two)
    if (random.chance(0.3)) await turn()
  }
  for (const membership of groups) await membership.check(seed)
}

/** What one process does with one group: its calls one after the other, and publishes of anybody at any time. */
class Membership {
  readonly group: string
  readonly #run: LayerRun
  readonly #published: Promise<{ position: Position; entry: LayerEntry }>[] = []
  #calls: Promise<void> = Promise.resolve()
  #joined: { at: Position; deliveries: number } | undefined
  #spans = 0

  constructor(run: LayerRun, group: string) {
    this.#run = run
    this.group = group
  }

  join(): void {
    this.#calls = awaitedLater(this.#calls, async () => {
      if (this.#joined !== undefined) return
      const deliveries = this.#run.one.of(this.group).length
      this.#joined = { at: await this.#run.one.layer.join(this.group), deliveries }
    })
  }

  leave(): void {
    this.#calls = awaitedLater(this.#calls, async () => {
      if (this.#joined === undefined) return
      this.#checkSpan(this.#joined)
      this.#joined = undefined
      await this.#run.one.layer.leave(this.group)
    })
  }

  publish(process: LayerProcess): void {
    const entry = this.#run.entry(this.#published.length)
    this.#published.push(
      awaitedLater(Promise.resolve(process.layer.publish(this.group, entry)), (position) => ({ position, entry })),
    )
  }

  async check(seed: number): Promise<void> {
    this.join()
    await this.#calls
    const published = await Promise.all(this.#published)
    await this.#run.two.until(this.group, published.length)
    await this.#run.settle()
    if (this.#joined !== undefined) this.#checkSpan(this.#joined)
    check(this.#spans > 0, `seed ${seed} tried nothing`)
    const entries = published.toSorted((a, b) => a.position.seq - b.position.seq).map(({ entry }) => entry)
    const came = this.#run.two.of(this.group)
    checkEqual(
      came.map(({ entry }) => entry),
      entries,
      'all entries, to the process that was joined all the time',
    )
    const last = published.reduce((seq, { position }) => Math.max(seq, position.seq), 0)
    const top = this.#run.one.seqs(this.group).at(-1)
    const since = this.#joined?.at.seq ?? 0
    check(last <= since || top === last, `joined at ${since}, the last entry was ${last}, but ${top} came last`)
  }

  /** From the join until now: what came is dense and begins right after the join's position. */
  #checkSpan({ at, deliveries }: { at: Position; deliveries: number }): void {
    this.#spans++
    const came = this.#run.one
      .of(this.group)
      .slice(deliveries)
      .filter(({ position }) => position.seq > at.seq)
    checkDense(came, at.epoch, at.seq + 1, `after a join at ${at.seq}`)
  }
}

/** Goes on after a promise; a failure is not reported as unhandled, since the check at the end awaits it. */
function awaitedLater<T, U>(before: Promise<T>, work: (value: T) => U | Promise<U>): Promise<U> {
  const promise = before.then(work)
  promise.catch(() => undefined)
  return promise
}
