import { Bucket } from './bucket.ts'
import type { FieldTypes, Filter } from './filter.ts'
import { IntervalTree } from './interval-tree.ts'
import { type RangeTerm, type Term, type ValueTerm, requiredTerms } from './required-terms.ts'
import type { Row } from './value.ts'
import { type Form, foldCase, formOf, formOrder } from './value-form.ts'

interface Entry<T> {
  readonly item: T
  /** None: the entry is in the list of those that every row visits. */
  readonly terms: readonly Term[] | undefined
  /** The number of the last visit that came by, so that each comes once. */
  visited: number
  deleted: boolean
}

/**
 * Items found by the rows that their filters may match, without looking at the other items: each is filed under one
 * comparison that its filter requires (or under one of each branch of an `or`), by value or by interval.
 */
export class FilterIndex<T> {
  readonly #entries = new Map<T, Entry<T>>()
  readonly #byValue = new Map<string, ValueIndex<T>>()
  readonly #byRange = new Map<string, RangeIndex<T>>()
  readonly #everywhere = new Set<Entry<T>>()
  readonly #random: () => number
  #visits = 0
  #found: Entry<T>[] = []
  /** One function for all visits: a change costs no closure. */
  readonly #take = (entry: Entry<T>): void => {
    if (entry.visited === this.#visits) return
    entry.visited = this.#visits
    this.#found.push(entry)
  }

  /** @param random - answers numbers in [0, 1) that no client can foresee; they keep the intervals balanced. */
  constructor(random: () => number = Math.random) {
    this.#random = random
  }

  get size(): number {
    return this.#entries.size
  }

  /** Files an item under a filter in normal form; an item that is there already is filed anew. */
  add(item: T, filter: Filter, types: FieldTypes): void {
    this.delete(item)
    const terms = requiredTerms(filter, types, (term) => this.#share(term))
    const entry: Entry<T> = { item, terms, visited: 0, deleted: false }
    this.#entries.set(item, entry)
    if (terms === undefined) this.#everywhere.add(entry)
    else for (const term of terms) this.#file(term, entry)
  }

  /** Whether the item was there. */
  delete(item: T): boolean {
    const entry = this.#entries.get(item)
    if (entry === undefined) return false
    this.#entries.delete(item)
    entry.deleted = true
    if (entry.terms === undefined) this.#everywhere.delete(entry)
    else for (const term of entry.terms) this.#unfile(term, entry)
    return true
  }

  /**
   * Calls the visitor once for each item whose filter may match the row: for all that match, and few others. The
   * visitor may add and delete items: one added meanwhile is not visited, nor is one deleted before its turn.
   */
  visit(row: Row, visitor: (item: T) => void): void {
    const found: Entry<T>[] = []
    this.#visits++
    this.#found = found
    for (const index of this.#byValue.values()) index.visit(row, this.#take)
    for (const index of this.#byRange.values()) index.visit(row, this.#take)
    for (const entry of this.#everywhere) this.#take(entry)
    // Only now is the visitor called, which may change the index or visit it again.
    for (const entry of found) if (!entry.deleted) visitor(entry.item)
  }

  /**
   * The share of rows that fulfil a term. What the filters filed under the same field ask for is taken as a sample of
   * what rows hold: where they all ask for the same, most rows will have it, and another field tells them apart better.
   */
  #share(term: Term): number {
    if (term.kind === 'value') {
      const index = this.#byValue.get(nameOf(term))
      const guess = term.form === null || term.type === 'boolean' ? SAMPLE / 2 : 1
      return ((index?.count(term) ?? 0) + guess) / ((index?.size ?? 0) + SAMPLE)
    }
    if (term.interval.low === undefined || term.interval.high === undefined) return 0.5
    const index = this.#byRange.get(nameOf(term))
    const overlapping = index?.count(term) ?? 0
    return overlapping >= CROWD ? 0.5 : (overlapping + 2) / ((index?.size ?? 0) + SAMPLE)
  }

  #file(term: Term, entry: Entry<T>): void {
    const name = nameOf(term)
    if (term.kind === 'value') fetch(this.#byValue, name, () => new ValueIndex(term)).add(term, entry)
    else fetch(this.#byRange, name, () => new RangeIndex(term, this.#random)).add(term, entry)
  }

  #unfile(term: Term, entry: Entry<T>): void {
    const name = nameOf(term)
    if (term.kind === 'value') {
      if (this.#byValue.get(name)?.delete(term, entry) === true) this.#byValue.delete(name)
    } else if (this.#byRange.get(name)?.delete(term, entry) === true) this.#byRange.delete(name)
  }
}

/** A field with fewer filters than this is judged by what is usual rather than by them. */
const SAMPLE = 20
/** So many overlapping intervals are not counted one by one. */
const CROWD = 64

function nameOf(term: Term): string {
  return `${term.type} ${term.kind === 'range' && term.ignoreCase ? 'folded ' : ''}${term.field}`
}

function fetch<V>(map: Map<string, V>, name: string, make: () => V): V {
  const known = map.get(name)
  if (known !== undefined) return known
  const made = make()
  map.set(name, made)
  return made
}

/** Entries by the value of one field. */
class ValueIndex<T> {
  readonly #field: ValueTerm['field']
  readonly #type: ValueTerm['type']
  readonly #buckets = new Map<Form | null, Bucket<Entry<T>>>()
  size = 0

  constructor({ field, type }: ValueTerm) {
    this.#field = field
    this.#type = type
  }

  count({ form }: ValueTerm): number {
    return this.#buckets.get(form)?.size ?? 0
  }

  add({ form }: ValueTerm, entry: Entry<T>): void {
    const bucket = this.#buckets.get(form)
    if (bucket === undefined) this.#buckets.set(form, new Bucket(entry))
    else bucket.add(entry)
    this.size++
  }

  /** Answers whether nothing is left. */
  delete({ form }: ValueTerm, entry: Entry<T>): boolean {
    const bucket = this.#buckets.get(form)
    bucket?.delete(entry)
    this.size--
    if (bucket?.size === 0) this.#buckets.delete(form)
    return this.#buckets.size === 0
  }

  visit(row: Row, found: (entry: Entry<T>) => void): void {
    const value = row[this.#field] ?? null
    this.#buckets.get(value === null ? null : formOf(this.#type, value))?.visit(found)
  }
}

/** Entries by the intervals that hold the value of one field. */
class RangeIndex<T> {
  readonly #field: RangeTerm['field']
  readonly #type: RangeTerm['type']
  readonly #ignoreCase: boolean
  readonly #tree: IntervalTree<Form, Entry<T>>
  size = 0

  constructor({ field, type, ignoreCase }: RangeTerm, random: () => number) {
    this.#field = field
    this.#type = type
    this.#ignoreCase = ignoreCase
    this.#tree = new IntervalTree(formOrder(type), random)
  }

  /** Of entries under intervals that overlap this one, at most about `CROWD`. */
  count({ interval }: RangeTerm): number {
    return this.#tree.count(interval, CROWD)
  }

  add({ interval }: RangeTerm, entry: Entry<T>): void {
    this.#tree.add(interval, entry)
    this.size++
  }

  /** Answers whether nothing is left. */
  delete({ interval }: RangeTerm, entry: Entry<T>): boolean {
    this.#tree.delete(interval, entry)
    this.size--
    return this.#tree.isEmpty
  }

  visit(row: Row, found: (entry: Entry<T>) => void): void {
    const value = row[this.#field] ?? null
    if (value === null) return
    const folded = this.#ignoreCase && typeof value === 'string' ? foldCase(value) : value
    this.#tree.visit(formOf(this.#type, folded), found)
  }
}
