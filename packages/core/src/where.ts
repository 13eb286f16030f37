/** What people join filters with: in the `scope` of a permission, or on the way to a query. */
import type { Where } from './filter.ts'
import type { Row } from './value.ts'

/** Rows that match all of the filters; of none: every row. */
export function and<R = Row>(...wheres: readonly Where<NoInfer<R>>[]): Where<R> {
  return { and: wheres } as Where<R>
}

/** Rows that match at least one of the filters; of none: no row. */
export function or<R = Row>(...wheres: readonly Where<NoInfer<R>>[]): Where<R> {
  return { or: wheres } as Where<R>
}
