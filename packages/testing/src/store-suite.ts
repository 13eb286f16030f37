import type { MaybePromise, Store } from '@rtapi/core'
import type { ConformanceCase } from './conformance.ts'

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
  return [{ name: 'is to be written', run: async () => void (await factory.open()) }]
}
