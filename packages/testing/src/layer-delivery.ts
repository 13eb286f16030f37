import type { LayerEntry } from '@rtapi/core'
import { check, checkEqual } from './conformance.ts'
import { type LayerCase, checkDense } from './layer-run.ts'

const entries: readonly LayerEntry[] = [
  {
    type: 'changes',
    tx: 'tx-1',
    entity: 'things',
    changes: [
      { key: 1, action: 'create' },
      { key: 'ünï"😀\\', action: 'update' },
      { key: ['a', 2, 'c'], action: 'delete' },
    ],
  },
  { type: 'coarse', tx: 'tx-2', entity: 'things' },
  { type: 'scope', tx: 'tx-3', resource: 'things', users: [1, 'ann'] },
  { type: 'scope', tx: 'tx-4', resource: 'things', users: 'all' },
  { type: 'session', command: 'end', user: 'ann', session: 's', except: 't', reason: 'revoked' },
  { type: 'session', command: 'refresh', reason: '' },
]

/** What layers promise of the entries on their way. */
export const layerDelivery: readonly LayerCase[] = [
  [
    'an entry comes to every process that has joined, the sender too, at the position that publish answers',
    async (run) => {
      const { one, two } = run
      const group = run.group()
      const start = await one.layer.join(group)
      checkEqual(await two.layer.join(group), start, 'the position at which the second process joins')
      check(/^[A-Za-z0-9_-]{1,32}$/.test(start.epoch), `the epoch ${JSON.stringify(start.epoch)}`)
      for (const [i, entry] of entries.entries()) {
        const position = await (i % 2 === 0 ? one : two).layer.publish(group, entry)
        checkEqual(position, { epoch: start.epoch, seq: start.seq + 1 + i }, `the position of entry ${i}`)
      }
      for (const process of [one, two]) {
        const came = await process.until(group, entries.length)
        checkDense(came, start.epoch, start.seq + 1, 'a process')
        checkEqual(
          came.map(({ entry }) => entry),
          entries,
          'the entries',
        )
      }
    },
  ],
  [
    'an entry comes to nobody who has not joined its group, also if the names are alike',
    async (run) => {
      const names = ['rt:a', 'rt:a:b', 'rt:*', 'rt:a*', 'rt:?', 'rt:[a]', 'rt:{a}', 'RT:A', 'rt:\\a', 'rt:a b', 'rt:"']
      const [mine = '', ...others] = names
      await run.one.layer.join(mine)
      for (const name of others) await run.two.layer.join(name)
      for (const name of names) await run.one.layer.publish(name, run.entry(name))
      await run.settle()
      checkEqual(
        run.one.of(mine).map(({ entry }) => keysOf(entry)),
        [[mine]],
        'what came of the one group',
      )
      for (const name of others) {
        checkEqual(
          run.two.of(name).map(({ entry }) => keysOf(entry)),
          [[name]],
          `what came of ${name}`,
        )
        checkEqual(run.one.of(name), [], `what came of ${name} to who has not joined it`)
      }
      checkEqual(run.two.of(mine), [], `what came of ${mine} to who has not joined it`)
    },
  ],
  [
    'what one process publishes comes in that order, numbered without a hole',
    async (run) => {
      const group = run.group()
      const start = await run.one.layer.join(group)
      await run.two.layer.join(group)
      const sent = Array.from({ length: 200 }, (_, i) => run.entry(i))
      const positions = await Promise.all(sent.map(async (entry) => run.one.layer.publish(group, entry)))
      checkEqual(
        positions.map(({ seq }) => seq - start.seq),
        sent.map((_, i) => i + 1),
        'the numbers that publish answers',
      )
      for (const process of [run.one, run.two]) {
        const came = await process.until(group, sent.length)
        checkDense(came, start.epoch, start.seq + 1, 'a process')
        checkEqual(
          came.map(({ entry }) => entry),
          sent,
          'the entries',
        )
      }
    },
  ],
  [
    'what two processes publish at once is numbered without a hole and comes to both in one order',
    async (run) => {
      const group = run.group()
      const start = await run.one.layer.join(group)
      await run.two.layer.join(group)
      const sent = await Promise.all(
        Array.from({ length: 100 }, async (_, i) => {
          const entry = run.entry(i)
          return { entry, position: await (i % 2 === 0 ? run.one : run.two).layer.publish(group, entry) }
        }),
      )
      const wanted = sent.toSorted((a, b) => a.position.seq - b.position.seq).map(({ entry }) => entry)
      for (const process of [run.one, run.two]) {
        const came = await process.until(group, sent.length)
        checkDense(came, start.epoch, start.seq + 1, 'a process')
        checkEqual(
          came.map(({ entry }) => entry),
          wanted,
          'the entries, by the numbers that publish answered',
        )
      }
    },
  ],
  [
    'each group has an epoch and numbers of its own',
    async (run) => {
      const groups = [run.group(), run.group(), run.group()]
      const starts = await Promise.all(groups.map(async (group) => run.one.layer.join(group)))
      checkEqual(new Set(starts.map(({ epoch }) => epoch)).size, groups.length, 'different epochs')
      for (let i = 0; i < 30; i++) await run.two.layer.publish(groups[i % 3] ?? '', run.entry(i))
      for (const [i, group] of groups.entries()) {
        const { epoch = '', seq = 0 } = starts[i] ?? {}
        checkDense(await run.one.until(group, 10), epoch, seq + 1, `group ${i}`)
      }
    },
  ],
  [
    'a group name may have 64 bytes, and an entry 64 KiB',
    async (run) => {
      const group = `rt:~${'0123456789abcdef'.repeat(4)}`.slice(0, 64)
      const changes = Array.from({ length: 1_000 }, (_, i) => ({
        key: `${i}-${'x'.repeat(40)}`,
        action: 'update' as const,
      }))
      const entry: LayerEntry = { type: 'changes', tx: 'large', entity: 'things', changes }
      check(JSON.stringify(entry).length > 65_536, 'the entry is smaller than meant')
      const start = await run.one.layer.join(group)
      await run.two.layer.publish(group, entry)
      checkEqual((await run.one.until(group, 1))[0]?.entry, entry, 'the entry')
      checkEqual(await run.one.layer.history(group, start), [{ seq: start.seq + 1, entry }], 'the history')
    },
  ],
  [
    'a deliver that throws harms nobody',
    async (run) => {
      const group = run.group()
      await run.one.layer.join(group)
      await run.two.layer.join(group)
      run.one.onDeliver = () => {
        throw new Error('thrown by deliver, which the layer must survive')
      }
      for (let i = 0; i < 5; i++) await run.one.layer.publish(group, run.entry(i))
      for (let i = 0; i < 5; i++) await run.two.layer.publish(group, run.entry(i))
      for (const process of [run.one, run.two]) checkEqual((await process.until(group, 10)).length, 10, 'entries')
    },
  ],
  [
    'what deliver publishes comes after what it was called with, to everybody',
    async (run) => {
      const group = run.group()
      const start = await run.one.layer.join(group)
      await run.two.layer.join(group)
      const published: Promise<unknown>[] = []
      run.one.onDeliver = ({ position }) => {
        if (position.seq - start.seq < 5) published.push(Promise.resolve(run.one.layer.publish(group, run.entry())))
      }
      await run.two.layer.publish(group, run.entry())
      for (const process of [run.one, run.two]) {
        checkDense(await process.until(group, 5), start.epoch, start.seq + 1, 'a process')
      }
      await Promise.all(published)
    },
  ],
]

function keysOf(entry: LayerEntry): readonly unknown[] {
  return entry.type === 'changes' ? entry.changes.map(({ key }) => key) : []
}
