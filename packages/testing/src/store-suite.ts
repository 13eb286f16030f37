import type { MaybePromise, Store } from '@rtapi/core'
import type { ConformanceCase } from './conformance.ts'
import type { StoreCase } from './store-case.ts'
import { storeComparisons } from './store-comparisons.ts'
import { storeQueries, tryRandomFilters } from './store-queries.ts'
import { storeWrites } from './store-writes.ts'

/** A store to try, over an empty table of `things` (see `thingFields`). */
export interface StoreSubject {
  readonly store: Store
  /** Releases it; called at the end of each case. */
  close?(): MaybePromise<void>
}

export interface StoreFactory {
  /** Called once for each case. */
  open(): MaybePromise<StoreSubject>
  /** The database keeps fewer than 20 digits of a decimal exactly: how many, and why. */
  readonly decimalDigits?: { readonly most: number; readonly reason: string }
  /** Seeds of the random filters. @default [1, 2, 3] */
  readonly seeds?: readonly number[]
}

/** What every `Store` promises. */
export function storeSuite(factory: StoreFactory): readonly ConformanceCase[] {
  const digits = factory.decimalDigits?.most ?? 20
  const seeds = factory.seeds ?? [1, 2, 3]
  const cases: readonly StoreCase[] = [
    ...storeWrites,
    ...storeQueries,
    ...storeComparisons,
    ...seeds.map((seed): StoreCase => [
      `random filters mean in the database what they mean in memory (seed ${seed})`,
      (store) => tryRandomFilters(store, seed, digits),
    ]),
  ]
  return cases.map(([name, run]) => ({
    name,
    async run() {
      const subject = await factory.open()
      try {
        await run(subject.store)
      } finally {
        await subject.close?.()
      }
    },
  }))
}
