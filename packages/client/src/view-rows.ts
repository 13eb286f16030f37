import {
  type Key,
  type KeyId,
  type OrderTerm,
  type Row,
  type WireChange,
  type WireRow,
  compareRows,
  keyId,
} from '@rtapi/core/protocol'
import type { KnownRows } from './known-rows.ts'
import { sameJson } from './same-json.ts'

interface Held {
  readonly key: Key
  readonly row: Row
}

/**
 * The rows of one view: by key, and in the total order that the server named. A row that comes again with the same
 * content stays the object it was, and `rows` stays the array it was until its content is another.
 */
export class ViewRows {
  readonly #known: KnownRows
  readonly #held = new Map<KeyId, Held>()
  #order: readonly OrderTerm[] = []
  #sorted: Held[] = []
  #rows: readonly Row[] = []
  #changed = false

  constructor(known: KnownRows) {
    this.#known = known
  }

  /** The rows in order. Never mutated: it is another array after a change. */
  get rows(): readonly Row[] {
    if (this.#changed) {
      this.#changed = false
      const rows = this.#sorted.map((held) => held.row)
      if (rows.length !== this.#rows.length || rows.some((row, at) => row !== this.#rows[at])) this.#rows = rows
    }
    return this.#rows
  }

  get size(): number {
    return this.#held.size
  }

  get keys(): readonly Key[] {
    return this.#sorted.map((held) => held.key)
  }

  get(key: Key): Row | undefined {
    return this.#held.get(keyId(key))?.row
  }

  /** Takes a whole snapshot as all there is. */
  replace(rows: readonly WireRow[], order: readonly OrderTerm[] | undefined): void {
    const before = new Map(this.#held)
    this.#held.clear()
    for (const row of rows) this.#held.set(keyId(row.key), this.#hold(row, before.get(keyId(row.key))))
    this.#order = order ?? this.#order
    this.#sort()
  }

  /** Takes rows that changed since the position from which the view resumes; the others stay. */
  merge(rows: readonly WireRow[], order: readonly OrderTerm[] | undefined): void {
    if (order !== undefined && !sameJson(order, this.#order)) {
      this.#order = order
      this.#sort()
    }
    for (const row of rows) this.#put(row)
  }

  /** Takes changes one after the other. Taking them twice is the same as taking them once. */
  apply(changes: readonly WireChange[]): void {
    for (const { action, key, data, version } of changes) {
      if (action === 'delete' || action === 'leave') this.#remove(key)
      else if (data !== undefined) this.#put({ key, data, ...(version === undefined ? {} : { version }) })
    }
  }

  clear(): void {
    this.#held.clear()
    this.#sort()
  }

  #hold(row: WireRow, before: Held | undefined): Held {
    if (before === undefined || !sameJson(before.row, row.data)) return { key: row.key, row: this.#known.add(row) }
    this.#known.set(before.row, { key: row.key, version: row.version })
    return before
  }

  #put(row: WireRow): void {
    const id = keyId(row.key)
    const before = this.#held.get(id)
    const held = this.#hold(row, before)
    if (held === before) return
    this.#changed = true
    if (before !== undefined) {
      const at = this.#indexOf(before)
      this.#held.set(id, held)
      if (this.#compare(before, held) === 0) {
        this.#sorted[at] = held
        return
      }
      this.#sorted.splice(at, 1)
    }
    this.#held.set(id, held)
    this.#sorted.splice(this.#lowerBound(held), 0, held)
  }

  #remove(key: Key): void {
    const id = keyId(key)
    const held = this.#held.get(id)
    if (held === undefined) return
    this.#changed = true
    this.#sorted.splice(this.#indexOf(held), 1)
    this.#held.delete(id)
  }

  #sort(): void {
    this.#changed = true
    this.#sorted = [...this.#held.values()].sort((a, b) => this.#compare(a, b))
  }

  #indexOf(held: Held): number {
    const at = this.#lowerBound(held)
    // The order is total, so the search finds it. Rows whose values do not fit the types of the order could be anywhere.
    return this.#sorted[at] === held ? at : this.#sorted.indexOf(held)
  }

  /** The first place whose row is not before this one. */
  #lowerBound(held: Held): number {
    let low = 0
    let high = this.#sorted.length
    while (low < high) {
      const middle = (low + high) >>> 1
      const other = this.#sorted[middle]
      if (other !== undefined && this.#compare(other, held) < 0) low = middle + 1
      else high = middle
    }
    return low
  }

  /** The order ends with the key's fields; where the viewer may not see them, the key itself stands in. */
  #compare(a: Held, b: Held): number {
    return compareRows(this.#order, a.row, b.row) || compareKeys(a.key, b.key)
  }
}

function compareKeys(a: Key, b: Key): number {
  const left: readonly (string | number)[] = typeof a === 'object' ? a : [a]
  const right: readonly (string | number)[] = typeof b === 'object' ? b : [b]
  for (const [at, part] of left.entries()) {
    const other = right[at] ?? part
    if (part !== other) return part < other ? -1 : 1
  }
  return 0
}
