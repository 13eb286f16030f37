/**
 * Arithmetic on filters. Every result is in normal form: constants folded, nested `and` and `or` flattened, repetitions
 * dropped, parts sorted, so that filters written in different ways have the same text and their feeds can be shared.
 */
import { type Comparison, type FieldTypes, type Filter, everything, nothing } from './filter.ts'
import type { PinnedTerms } from './groups.ts'
import { compileFilter } from './match-filter.ts'
import type { Scalar } from './value.ts'
import { foldCase } from './value-form.ts'

/** Rows that match all of the filters; of none: every row. */
export function allOf(...filters: readonly Filter[]): Filter {
  return remembered(join('and', filters.map(normalise)))
}

/** As `allOf`, for a filter that is run once and never compared with another: nothing is sorted or merged. */
export function conjunction(...filters: readonly Filter[]): Filter {
  const parts: Filter[] = []
  for (const filter of filters) {
    if (filter.type === 'and') parts.push(...filter.filters)
    else if (filter.type !== 'const') parts.push(filter)
    else if (!filter.value) return nothing
  }
  const [first] = parts
  if (first === undefined) return everything
  return parts.length === 1 ? first : { type: 'and', filters: parts }
}

/** Rows that match at least one of the filters; of none: no row. */
export function anyOf(...filters: readonly Filter[]): Filter {
  return remembered(join('or', filters.map(normalise)))
}

/** Rows that do not match the filter: exactly the others, null or not. */
export function negate(filter: Filter): Filter {
  switch (filter.type) {
    case 'const':
      return filter.value ? nothing : everything
    case 'and':
      return anyOf(...filter.filters.map(negate))
    case 'or':
      return allOf(...filter.filters.map(negate))
    default:
      return normalise(negateComparison(filter)).filter
  }
}

const opposites = {
  eq: 'ne',
  ne: 'eq',
  in: 'nin',
  nin: 'in',
  startsWith: 'notStartsWith',
  notStartsWith: 'startsWith',
  lt: 'gte',
  lte: 'gt',
  gt: 'lte',
  gte: 'lt',
} as const

function negateComparison(comparison: Comparison): Filter {
  const { field } = comparison
  switch (comparison.operator) {
    case 'isNull':
      return { ...comparison, value: !comparison.value }
    case 'eq':
    case 'ne':
      return { ...comparison, operator: opposites[comparison.operator] }
    case 'in':
    case 'nin':
      return { ...comparison, operator: opposites[comparison.operator] }
    case 'startsWith':
    case 'notStartsWith':
      return { ...comparison, operator: opposites[comparison.operator] }
    default: {
      // Null matches no ordering, so it matches the opposite of each.
      const others: Filter = { ...comparison, operator: opposites[comparison.operator] }
      return { type: 'or', filters: [others, { type: 'compare', field, operator: 'isNull', value: true }] }
    }
  }
}

/**
 * What the filter requires of single fields: a row that matches has one of these values in each of them. A field that
 * the filter requires nothing of is absent; an empty list means that no row matches.
 */
export function pinnedTerms(filter: Filter): PinnedTerms {
  switch (filter.type) {
    case 'and':
      return filter.filters.map(pinnedTerms).reduce(intersect, new Map())
    case 'or': {
      const [first = new Map<string, readonly Scalar[]>(), ...rest] = filter.filters.map(pinnedTerms)
      return rest.reduce(unite, first)
    }
    case 'const':
      return new Map()
    default:
      return pinnedByComparison(filter)
  }
}

function pinnedByComparison(comparison: Comparison): PinnedTerms {
  if (comparison.operator === 'eq') return new Map([[comparison.field, [comparison.value]]])
  if (comparison.operator === 'in') return new Map([[comparison.field, comparison.value]])
  if (comparison.operator === 'isNull' && comparison.value) return new Map([[comparison.field, [null]]])
  return new Map()
}

function intersect(a: PinnedTerms, b: PinnedTerms): PinnedTerms {
  const result = new Map(a)
  for (const [field, values] of b) {
    const known = result.get(field)
    const allowed = new Set(values)
    result.set(field, known === undefined ? values : known.filter((value) => allowed.has(value)))
  }
  return result
}

function unite(a: PinnedTerms, b: PinnedTerms): PinnedTerms {
  const result = new Map<string, readonly Scalar[]>()
  for (const [field, values] of b) {
    const known = a.get(field)
    if (known !== undefined) result.set(field, [...new Set([...known, ...values])])
  }
  return result
}

/**
 * The filter as it may be written for rows that have one of the pinned values in each pinned field: a comparison that
 * comes out the same for all of them becomes a constant. For such rows it means what `filter` means; of other rows it
 * says nothing.
 * @throws TypeError if the filter names a field that `types` lacks.
 */
export function assume(filter: Filter, pinned: PinnedTerms, types: FieldTypes): Filter {
  return normalise(assumeInside(filter, pinned, types)).filter
}

function assumeInside(filter: Filter, pinned: PinnedTerms, types: FieldTypes): Filter {
  switch (filter.type) {
    case 'const':
      return filter
    case 'and':
    case 'or':
      return { type: filter.type, filters: filter.filters.map((inner) => assumeInside(inner, pinned, types)) }
    default: {
      const values = pinned.get(filter.field)
      if (values === undefined) return filter
      const matches = compileFilter(filter, types)
      const matching = values.filter((value) => matches({ [filter.field]: value })).length
      if (matching === 0) return nothing
      return matching === values.length ? everything : filter
    }
  }
}

/** A text that filters in normal form share exactly if they are the same. Its form is not promised. */
export function canonicalText(filter: Filter): string {
  return normalise(filter).text
}

/** The fields that the filter looks at. */
export function fieldsOf(filter: Filter): ReadonlySet<string> {
  const fields = new Set<string>()
  collectFields(filter, fields)
  return fields
}

function collectFields(filter: Filter, into: Set<string>): void {
  if (filter.type === 'compare') into.add(filter.field)
  else if (filter.type !== 'const') for (const inner of filter.filters) collectFields(inner, into)
}

/** A filter in normal form with its text, which is what the parts of an `and` or `or` are sorted and compared by. */
interface Normal {
  readonly filter: Filter
  readonly text: string
  /** Of an `and` or `or`. */
  readonly parts?: readonly Normal[]
}

/** What is in normal form already: results of `allOf` and `anyOf`, which are joined again with others. */
const normals = new WeakMap<Filter, Normal>()

function normalise(filter: Filter): Normal {
  const known = normals.get(filter)
  if (known !== undefined) return known
  switch (filter.type) {
    case 'const':
      return filter.value ? { filter: everything, text: 'true' } : { filter: nothing, text: 'false' }
    case 'and':
    case 'or':
      return join(filter.type, filter.filters.map(normalise))
    default:
      return normaliseComparison(filter)
  }
}

function remembered(normal: Normal): Filter {
  if (normal.filter.type === 'and' || normal.filter.type === 'or') normals.set(normal.filter, normal)
  return normal.filter
}

function join(type: 'and' | 'or', parts: readonly Normal[]): Normal {
  const [only] = parts
  if (only !== undefined && parts.length === 1) return only
  // What decides the whole: one `false` among the parts of an `and`, one `true` among those of an `or`.
  const decisive = type === 'or'
  const distinct = new Map<string, Normal>()
  const flat = parts.flatMap((part) => (part.filter.type === type ? (part.parts ?? []) : part))
  for (const part of flat) {
    if (part.filter.type !== 'const') distinct.set(part.text, part)
    else if (part.filter.value === decisive) return part
  }
  const sorted = [...distinct.values()].sort((a, b) => (a.text < b.text ? -1 : 1))
  const [first, ...rest] = sorted
  if (first === undefined) return normalise(decisive ? nothing : everything)
  if (rest.length === 0) return first
  return {
    filter: { type, filters: sorted.map(({ filter }) => filter) },
    text: `{"${type}":[${sorted.map(({ text }) => text).join()}]}`,
    parts: sorted,
  }
}

function normaliseComparison(comparison: Comparison): Normal {
  const { field, operator } = comparison
  switch (operator) {
    case 'in':
    case 'nin': {
      const [first, ...rest] = comparison.value
      if (first === undefined) return normalise(operator === 'in' ? nothing : everything)
      if (rest.length === 0) {
        return new NormalComparison({ type: 'compare', field, operator: operator === 'in' ? 'eq' : 'ne', value: first })
      }
      const value = sortedSet(comparison.value)
      return value === comparison.value
        ? new NormalComparison(comparison)
        : normaliseComparison({ ...comparison, value })
    }
    case 'startsWith':
    case 'notStartsWith': {
      // Every text starts with the empty one, and only letters have a case.
      if (comparison.value === '') {
        return new NormalComparison({ type: 'compare', field, operator: 'isNull', value: operator === 'notStartsWith' })
      }
      if (!comparison.ignoreCase) return new NormalComparison(comparison)
      const value = foldCase(comparison.value)
      return new NormalComparison({ ...comparison, value, ignoreCase: /[a-z]/.test(value) })
    }
    default:
      return new NormalComparison(comparison)
  }
}

/** Its text is written when it is first asked for: a filter of one comparison that is run once needs none. */
class NormalComparison implements Normal {
  readonly filter: Comparison
  #text: string | undefined

  constructor(filter: Comparison) {
    this.filter = filter
  }

  get text(): string {
    if (this.#text !== undefined) return this.#text
    const { field, operator, value } = this.filter
    const ignoreCase = 'ignoreCase' in this.filter && this.filter.ignoreCase ? [true] : []
    return (this.#text = JSON.stringify([field, operator, value, ...ignoreCase]))
  }
}

/** The values without repetitions, in an order of their own; the same array if they are so already. */
function sortedSet<T extends string | number | boolean>(values: readonly T[]): readonly T[] {
  const sorted = values.every((value, i) => i === 0 || precedes(values[i - 1], value))
  return sorted ? values : [...new Set(values)].sort((a, b) => (precedes(a, b) ? -1 : 1))
}

function precedes(a: string | number | boolean | undefined, b: string | number | boolean): boolean {
  return a !== undefined && a < b
}
