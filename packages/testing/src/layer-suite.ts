import type { MaybePromise } from '@rtapi/core'
import type { ConformanceCase } from './conformance.ts'
import { layerDelivery } from './layer-delivery.ts'
import { layerHistory } from './layer-history.ts'
import { layerMembership, tryRandomMembership } from './layer-membership.ts'
import { layerPresence } from './layer-presence.ts'
import { type LayerCase, LayerRun, type LayerSubject } from './layer-run.ts'

export interface LayerFactory {
  /** Called once for each case. */
  open(): MaybePromise<LayerSubject>
  /** How many entries the log of a group keeps at least, as these layers are set up; a small number keeps it quick. */
  readonly history: number
  /** Milliseconds after which an entry that has not come counts as missing. @default 5_000 */
  readonly timeout?: number
  /** Seeds of the random joins and leaves. @default [1, 2, 3] */
  readonly seeds?: readonly number[]
}

/** What every `ChannelLayer` promises. */
export function layerSuite(factory: LayerFactory): readonly ConformanceCase[] {
  const random = (factory.seeds ?? [1, 2, 3]).map((seed): LayerCase => [
    `whoever is joined gets every entry, whatever joins and leaves (seed ${seed})`,
    (run) => tryRandomMembership(run, seed),
  ])
  const cases = [...layerDelivery, ...layerMembership, ...layerHistory(factory.history), ...layerPresence, ...random]
  return cases.map(([name, body]) => ({
    name,
    async run() {
      const run = new LayerRun(await factory.open(), factory.timeout ?? 5_000)
      try {
        await run.one.open()
        await run.two.open()
        await body(run)
        run.checkHealth()
      } finally {
        await run.end()
      }
    },
  }))
}
