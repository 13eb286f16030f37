import { Bucket } from './bucket.ts'

/** A stretch of an ordered domain; without `low` or `high` it has no end on that side. */
export interface Interval<K> {
  readonly low?: K | undefined
  /** `low` itself is outside. */
  readonly lowOpen: boolean
  readonly high?: K | undefined
  /** `high` itself is outside. */
  readonly highOpen: boolean
}

interface Node<K, V extends object> {
  readonly interval: Interval<K>
  readonly values: Bucket<V>
  /** Above those of both children: random priorities keep the tree flat whatever the order of additions. */
  readonly priority: number
  left: Node<K, V> | undefined
  right: Node<K, V> | undefined
  /** Of the intervals in this subtree the one that ends last. */
  reach: Interval<K>
}

/**
 * Values under intervals, found by a point within: an interval tree (ordered by low end, each node knowing the furthest
 * high end below it) kept flat as a treap. Adding and deleting take O(log n); finding the k intervals around a point
 * takes O(log n + k) where they lie together, and never more than O(k log n). Equal intervals share a node.
 */
export class IntervalTree<K, V extends object> {
  readonly #compare: (a: K, b: K) => number
  readonly #random: () => number
  #root: Node<K, V> | undefined

  /** @param random - answers numbers that whoever chooses the intervals cannot foresee. */
  constructor(compare: (a: K, b: K) => number, random: () => number) {
    this.#compare = compare
    this.#random = random
  }

  get isEmpty(): boolean {
    return this.#root === undefined
  }

  add(interval: Interval<K>, value: V): void {
    const node = this.#find(interval)
    if (node === undefined) this.#root = this.#insert(this.#root, interval, value)
    else node.values.add(value)
  }

  delete(interval: Interval<K>, value: V): void {
    const node = this.#find(interval)
    if (node === undefined) return
    node.values.delete(value)
    if (node.values.size === 0) this.#root = this.#remove(this.#root, interval)
  }

  /** Calls `found` for each value whose interval holds the point. It must not change the tree. */
  visit(point: K, found: (value: V) => void): void {
    this.#visit(this.#root, point, found)
  }

  /** How many values are under intervals that overlap or touch this one; stops counting at `enough`. */
  count(interval: Interval<K>, enough: number): number {
    return this.#count(this.#root, interval, enough)
  }

  #count(node: Node<K, V> | undefined, interval: Interval<K>, enough: number): number {
    if (node === undefined || enough <= 0 || this.#isBefore(node.reach, interval)) return 0
    let count = this.#count(node.left, interval, enough)
    if (this.#isBefore(interval, node.interval)) return count
    if (!this.#isBefore(node.interval, interval)) count += node.values.size
    return count + this.#count(node.right, interval, enough - count)
  }

  #isBefore(a: Interval<K>, b: Interval<K>): boolean {
    return a.high !== undefined && b.low !== undefined && this.#compare(a.high, b.low) < 0
  }

  #visit(node: Node<K, V> | undefined, point: K, found: (value: V) => void): void {
    if (node === undefined || !this.#endsAfter(node.reach, point)) return
    this.#visit(node.left, point, found)
    if (!this.#startsBefore(node.interval, point)) return
    if (this.#endsAfter(node.interval, point)) node.values.visit(found)
    this.#visit(node.right, point, found)
  }

  #startsBefore({ low, lowOpen }: Interval<K>, point: K): boolean {
    if (low === undefined) return true
    const sign = this.#compare(low, point)
    return lowOpen ? sign < 0 : sign <= 0
  }

  #endsAfter({ high, highOpen }: Interval<K>, point: K): boolean {
    if (high === undefined) return true
    const sign = this.#compare(high, point)
    return highOpen ? sign > 0 : sign >= 0
  }

  #compareLow(a: Interval<K>, b: Interval<K>): number {
    if (a.low === undefined || b.low === undefined) return Number(a.low !== undefined) - Number(b.low !== undefined)
    return this.#compare(a.low, b.low) || Number(a.lowOpen) - Number(b.lowOpen)
  }

  #compareHigh(a: Interval<K>, b: Interval<K>): number {
    if (a.high === undefined || b.high === undefined) return Number(b.high !== undefined) - Number(a.high !== undefined)
    return this.#compare(a.high, b.high) || Number(b.highOpen) - Number(a.highOpen)
  }

  #order(a: Interval<K>, b: Interval<K>): number {
    return this.#compareLow(a, b) || this.#compareHigh(a, b)
  }

  #find(interval: Interval<K>): Node<K, V> | undefined {
    let node = this.#root
    while (node !== undefined) {
      const sign = this.#order(interval, node.interval)
      if (sign === 0) return node
      node = sign < 0 ? node.left : node.right
    }
    return undefined
  }

  #insert(node: Node<K, V> | undefined, interval: Interval<K>, value: V): Node<K, V> {
    if (node === undefined) {
      const priority = this.#random()
      return { interval, values: new Bucket(value), priority, left: undefined, right: undefined, reach: interval }
    }
    const side = this.#order(interval, node.interval) < 0 ? 'left' : 'right'
    const child = this.#insert(node[side], interval, value)
    node[side] = child
    if (child.priority <= node.priority) return this.#measured(node)
    const other = side === 'left' ? 'right' : 'left'
    node[side] = child[other]
    child[other] = this.#measured(node)
    return this.#measured(child)
  }

  #remove(node: Node<K, V> | undefined, interval: Interval<K>): Node<K, V> | undefined {
    if (node === undefined) return undefined
    const sign = this.#order(interval, node.interval)
    if (sign === 0) return this.#merge(node.left, node.right)
    const side = sign < 0 ? 'left' : 'right'
    node[side] = this.#remove(node[side], interval)
    return this.#measured(node)
  }

  /** Joins two subtrees of which the first lies wholly before the second. */
  #merge(first: Node<K, V> | undefined, second: Node<K, V> | undefined): Node<K, V> | undefined {
    if (first === undefined) return second
    if (second === undefined) return first
    if (first.priority > second.priority) {
      first.right = this.#merge(first.right, second)
      return this.#measured(first)
    }
    second.left = this.#merge(first, second.left)
    return this.#measured(second)
  }

  #measured(node: Node<K, V>): Node<K, V> {
    let reach = node.interval
    for (const child of [node.left, node.right]) {
      if (child !== undefined && this.#compareHigh(child.reach, reach) > 0) reach = child.reach
    }
    node.reach = reach
    return node
  }
}
