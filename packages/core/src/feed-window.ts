import type { RowView } from './row-view.ts'
import { type Json, type KeyId, type OrderTerm, type Row, compareRows } from './value.ts'

/** What a change did to the window. */
export interface WindowMove {
  /** The row is in the window now. */
  readonly inside: boolean
  /** This key was pushed out at the end. */
  readonly evicted?: KeyId
  /** The window has a free place that a row outside it must fill: query again. */
  readonly refill?: boolean
}

interface Place {
  readonly id: KeyId
  /** The fields of the order alone. */
  readonly row: Row
}

/**
 * The first `limit` rows of an order. It knows only the rows inside, and whether there are more behind them: what comes
 * after the last one cannot be told from here.
 */
export class FeedWindow {
  readonly #order: readonly OrderTerm[]
  readonly #limit: number
  #places: Place[] = []
  #more = false

  constructor(order: readonly OrderTerm[], limit: number) {
    this.#order = order
    this.#limit = limit
  }

  /** Starts over with rows in order. */
  reset(views: readonly RowView[], more: boolean): void {
    this.#places = views.map((view) => ({ id: view.id, row: this.#sortFields(view.row) }))
    this.#more = more
  }

  remove(id: KeyId): WindowMove {
    const at = this.#places.findIndex((place) => place.id === id)
    if (at < 0) return { inside: false }
    this.#places.splice(at, 1)
    return { inside: false, refill: this.#more }
  }

  /** Puts a row where it belongs now. */
  put(id: KeyId, row: Row): WindowMove {
    const before = this.#places.findIndex((place) => place.id === id)
    if (before >= 0) this.#places.splice(before, 1)
    const place: Place = { id, row: this.#sortFields(row) }
    const at = this.#placeOf(place)
    if (at === this.#places.length && this.#more) {
      // Behind the last row that is known: rows outside may come before it.
      if (before < 0) return { inside: false }
      this.#places.push(place)
      return { inside: true, refill: true }
    }
    if (at >= this.#limit) {
      this.#more = true
      return { inside: false }
    }
    this.#places.splice(at, 0, place)
    if (this.#places.length <= this.#limit) return { inside: true }
    this.#more = true
    const evicted = this.#places.pop()
    return evicted === undefined ? { inside: true } : { inside: true, evicted: evicted.id }
  }

  #placeOf(place: Place): number {
    let low = 0
    let high = this.#places.length
    while (low < high) {
      const middle = (low + high) >> 1
      const other = this.#places[middle]
      if (other !== undefined && compareRows(this.#order, other.row, place.row) < 0) low = middle + 1
      else high = middle
    }
    return low
  }

  #sortFields(row: Row): Row {
    const values: Record<string, Json> = {}
    for (const [field] of this.#order) values[field] = row[field] ?? null
    return values
  }
}
