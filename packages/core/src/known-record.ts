import type { Change } from './change-source.ts'
import type { Json } from './value.ts'

/** Field values of a record as far as they are known. */
export type KnownRecord = Readonly<Record<string, Json>>

/** Where the record was and where it is, as far as it was there: nothing known of a state is an empty one. */
export function statesOf(change: Change): readonly KnownRecord[] {
  if (change.action === 'create') return [change.after ?? {}]
  return change.action === 'delete' ? [change.before ?? {}] : [change.before ?? {}, change.after ?? {}]
}

/** What a rule answers about a record; `undefined` if it asked for a field that is not known. */
export function answerOf<T>(record: KnownRecord, rule: (record: KnownRecord) => T): T | undefined {
  let isKnown = true
  const observed = new Proxy(record, {
    get(target, field) {
      if (!Object.hasOwn(target, field)) isKnown = false
      return Reflect.get(target, field) as unknown
    },
  })
  const answer = rule(observed)
  return isKnown ? answer : undefined
}
