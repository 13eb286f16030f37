/** What an index can find filters by: single terms that a row must fulfil to match. */
import type { Comparison, FieldTypes, Filter } from './filter.ts'
import type { Interval } from './interval-tree.ts'
import type { FieldType } from './value.ts'
import { type Form, foldCase, formOf, formOrder } from './value-form.ts'

/** The field has this value. */
export interface ValueTerm {
  readonly kind: 'value'
  readonly field: string
  readonly type: FieldType
  readonly form: Form | null
}

/** The field's value, which is not null, lies in this interval. */
export interface RangeTerm {
  readonly kind: 'range'
  readonly field: string
  readonly type: FieldType
  /** The text lies in the interval once its case is folded. */
  readonly ignoreCase: boolean
  readonly interval: Interval<Form>
}

export type Term = ValueTerm | RangeTerm

/** Terms of which a row must fulfil at least one, and the guessed share of rows that do. */
interface Plan {
  readonly terms: readonly Term[]
  readonly share: number
}

/**
 * Terms such that each row which matches the filter fulfils at least one of them, chosen so that few other rows do.
 * `undefined` if there are none.
 * @param share - a guess of the share of rows, 0 to 1, which fulfil a term.
 */
export function requiredTerms(
  filter: Filter,
  types: FieldTypes,
  share: (term: Term) => number,
): readonly Term[] | undefined {
  return plan(filter)?.terms

  function plan(filter: Filter): Plan | undefined {
    switch (filter.type) {
      case 'const':
        return filter.value ? undefined : { terms: [], share: 0 }
      case 'or':
        return together(filter.filters.map(plan))
      case 'and':
        return best([...filter.filters.map(plan), ...mergedRanges(filter.filters)])
      default:
        return planComparison(filter)
    }
  }

  function planComparison(comparison: Comparison): Plan | undefined {
    const { field } = comparison
    const type = types[field]
    if (type === undefined) return undefined
    if (comparison.operator === 'in') {
      return together(comparison.value.map((value) => planValue(field, type, formOf(type, value))))
    }
    if (comparison.operator === 'eq') return planValue(field, type, formOf(type, comparison.value))
    if (comparison.operator === 'isNull') return comparison.value ? planValue(field, type, null) : undefined
    const range = rangeOf(comparison, type)
    return range === undefined ? undefined : planTerm(range)
  }

  function planTerm(term: Term): Plan {
    return { terms: [term], share: share(term) }
  }

  function planValue(field: string, type: FieldType, form: Form | null): Plan {
    return planTerm({ kind: 'value', field, type, form })
  }

  /** The ranges of each field that several parts of an `and` narrow. */
  function mergedRanges(parts: readonly Filter[]): readonly Plan[] {
    const merged = new Map<string, RangeTerm>()
    for (const part of parts) {
      if (part.type !== 'compare') continue
      const type = types[part.field]
      const range = type === undefined ? undefined : rangeOf(part, type)
      if (range === undefined) continue
      const name = JSON.stringify([range.field, range.ignoreCase])
      const known = merged.get(name)
      const interval = known === undefined ? range.interval : intersection(known, range)
      merged.set(name, { ...range, interval })
    }
    return [...merged.values()].map(planTerm)
  }
}

function together(plans: readonly (Plan | undefined)[]): Plan | undefined {
  const all = plans.filter((plan) => plan !== undefined)
  if (all.length < plans.length) return undefined
  return { terms: all.flatMap(({ terms }) => terms), share: all.reduce((sum, { share }) => sum + share, 0) }
}

function best(plans: readonly (Plan | undefined)[]): Plan | undefined {
  let best: Plan | undefined
  for (const plan of plans) if (plan !== undefined && (best === undefined || plan.share < best.share)) best = plan
  return best
}

function intersection(a: RangeTerm, b: RangeTerm): Interval<Form> {
  const compare = formOrder(a.type)
  const low = laterStart(a.interval, b.interval, compare)
  const high = earlierEnd(a.interval, b.interval, compare)
  return { low: low.low, lowOpen: low.lowOpen, high: high.high, highOpen: high.highOpen }
}

type Ends = Interval<Form>
type Compare = (a: Form, b: Form) => number

function laterStart(a: Ends, b: Ends, compare: Compare): Ends {
  if (a.low === undefined || b.low === undefined) return a.low === undefined ? b : a
  const sign = compare(a.low, b.low)
  return sign > 0 || (sign === 0 && a.lowOpen) ? a : b
}

function earlierEnd(a: Ends, b: Ends, compare: Compare): Ends {
  if (a.high === undefined || b.high === undefined) return a.high === undefined ? b : a
  const sign = compare(a.high, b.high)
  return sign < 0 || (sign === 0 && a.highOpen) ? a : b
}

function rangeOf(comparison: Comparison, type: FieldType): RangeTerm | undefined {
  const interval = intervalOf(comparison, type)
  if (interval === undefined) return undefined
  const ignoreCase = comparison.operator === 'startsWith' && comparison.ignoreCase
  return { kind: 'range', field: comparison.field, type, ignoreCase, interval }
}

function intervalOf(comparison: Comparison, type: FieldType): Interval<Form> | undefined {
  switch (comparison.operator) {
    case 'lt':
    case 'lte':
      return { lowOpen: false, high: formOf(type, comparison.value), highOpen: comparison.operator === 'lt' }
    case 'gt':
    case 'gte':
      return { low: formOf(type, comparison.value), lowOpen: comparison.operator === 'gt', highOpen: false }
    case 'startsWith': {
      const low = comparison.ignoreCase ? foldCase(comparison.value) : comparison.value
      const high = afterPrefix(low)
      return {
        low: formOf(type, low),
        lowOpen: false,
        high: high === undefined ? undefined : formOf(type, high),
        highOpen: true,
      }
    }
    default:
      return undefined
  }
}

const LAST_CODE_POINT = 0x10ffff
const LAST_BEFORE_SURROGATES = 0xd7ff
const FIRST_AFTER_SURROGATES = 0xe000

/** The first text, by code point, after all that start with the prefix; `undefined` if they are the last there are. */
function afterPrefix(prefix: string): string | undefined {
  const points = Array.from(prefix, (character) => character.codePointAt(0) ?? 0)
  while (points.at(-1) === LAST_CODE_POINT) points.pop()
  const last = points.pop()
  if (last === undefined) return undefined
  return String.fromCodePoint(...points, last === LAST_BEFORE_SURROGATES ? FIRST_AFTER_SURROGATES : last + 1)
}
