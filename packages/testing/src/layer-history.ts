import type { Position } from '@rtapi/core'
import { check, checkEqual } from './conformance.ts'
import { type LayerCase, historyOf } from './layer-run.ts'

/** What layers promise of the log of a group, which keeps so many entries at least. */
export function layerHistory(kept: number): readonly LayerCase[] {
  return [
    [
      'the history holds the entries after a position, complete and in order, for every process',
      async (run) => {
        const group = run.group()
        const start = await run.one.layer.join(group)
        const count = Math.min(kept, 20)
        const entries = Array.from({ length: count }, (_, i) => run.entry(i))
        for (const entry of entries) await run.one.layer.publish(group, entry)
        for (const { layer } of [run.one, run.two]) {
          for (const passed of [0, 1, count - 1, count]) {
            const since = { epoch: start.epoch, seq: start.seq + passed }
            checkEqual(await historyOf(layer, group, since), entries.slice(passed), `the history since ${passed}`)
          }
        }
      },
    ],
    [
      'the history is complete or gone, never a part',
      async (run) => {
        const group = run.group()
        const start = await run.one.layer.join(group)
        const count = kept * 2 + 10
        const entries = Array.from({ length: count }, (_, i) => run.entry(i))
        await Promise.all(entries.map(async (entry) => run.one.layer.publish(group, entry)))
        for (const passed of [0, 1, count - kept - 1, count - kept, count - 1, count]) {
          const since = { epoch: start.epoch, seq: start.seq + passed }
          const history = await run.two.layer.history(group, since)
          if (passed >= count - kept) check(history !== 'gone', `the history since ${passed} of ${count} is gone`)
          if (history === 'gone') continue
          checkEqual(
            history.map(({ entry }) => entry),
            entries.slice(passed),
            `the history since ${passed} of ${count}`,
          )
        }
      },
    ],
    [
      'the history since a position that was never given is gone',
      async (run) => {
        const group = run.group()
        const { epoch, seq } = await run.one.layer.join(group)
        await run.one.layer.publish(group, run.entry())
        const unknown: readonly Position[] = [
          { epoch: `${epoch.slice(1)}x`, seq },
          { epoch: '', seq },
          { epoch: '*', seq },
          { epoch, seq: seq + 2 },
          { epoch, seq: seq - 1 },
          { epoch, seq: 0.5 },
          { epoch, seq: 2 ** 53 },
          { epoch, seq: Number.NaN },
          { epoch, seq: Number.POSITIVE_INFINITY },
        ]
        for (const position of unknown) {
          checkEqual(
            await run.two.layer.history(group, position),
            'gone',
            `the history since ${JSON.stringify(position)}`,
          )
        }
        checkEqual(
          await run.one.layer.history(run.group(), { epoch, seq: 0 }),
          'gone',
          'the history of an unknown group',
        )
      },
    ],
    [
      'a log goes on while nobody is joined, so that a client can come back',
      async (run) => {
        const group = run.group()
        const start = await run.one.layer.join(group)
        await run.one.layer.leave(group)
        const entry = run.entry()
        const position = await run.two.layer.publish(group, entry)
        checkEqual(position, { epoch: start.epoch, seq: start.seq + 1 }, 'the position of what nobody hears')
        checkEqual(await historyOf(run.one.layer, group, start), [entry], 'the history')
      },
    ],
    [
      'a group whose log is gone comes back under a new epoch',
      async (run) => {
        const group = run.group()
        const start = await run.one.layer.join(group)
        await run.one.layer.publish(group, run.entry())
        await run.one.layer.leave(group)
        await run.subject.forget(group)
        checkEqual(await run.one.layer.history(group, start), 'gone', 'the history after the log is gone')
        const again = await run.two.layer.join(group)
        check(again.epoch !== start.epoch, 'the group came back under its old epoch')
        await run.one.layer.publish(group, run.entry())
        await run.two.until(group, 1)
        for (const seq of [start.seq, start.seq + 1]) {
          const since = { epoch: start.epoch, seq }
          checkEqual(await run.one.layer.history(group, since), 'gone', `the history since ${seq} of the old epoch`)
        }
      },
    ],
  ]
}
