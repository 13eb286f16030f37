/** What a row of the table measures: who is connected, what they follow, and what happens meanwhile. */

/** What each socket subscribes to. */
type Following =
  | { readonly type: 'nothing' }
  /** Every record, by one subscription. */
  | { readonly type: 'all' }
  /** So many records, each by a subscription of its own. */
  | { readonly type: 'records'; readonly each: number }
  /** So many filters, no two of them alike: equality, lists and ranges mixed. */
  | { readonly type: 'filters'; readonly each: number }

/** What happens during a measurement. */
type Traffic =
  /** The server changes so many records at once, and again after so many milliseconds. */
  | { readonly type: 'changes'; readonly atOnce: number; readonly interval: number }
  /** So many sockets send a request, and the next one as soon as it is answered. */
  | { readonly type: 'requests'; readonly sockets: number; readonly action: 'get' | 'update' }

export interface Workload {
  readonly records: number
  /** Sockets that follow something. */
  readonly sockets: number
  readonly following: Following
  readonly traffic: Traffic
}

/** A record as every target keeps it; a change that carries it is about 210 bytes of JSON. */
export interface Item {
  readonly id: number
  readonly topic: number
  readonly price: number
  readonly title: string
  readonly author: string
  readonly text: string
  /** Counts the changes. */
  readonly revision: number
  /** When it was changed: microseconds of the machine's monotonic clock, the same in all processes. */
  readonly at: number
}

export function makeItem(id: number): Item {
  return {
    id,
    topic: id,
    price: (id * 7_919) % 100_000,
    title: `Item number ${id}`,
    author: `user-${id % 97}`,
    text: 'A line of text as people write them.',
    revision: 0,
    at: 0,
  }
}

export function microseconds(): number {
  return Number(process.hrtime.bigint() / 1_000n)
}

/** A repeatable source of numbers in [0, 1): mulberry32. */
export function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}

export function shuffled(count: number, random: () => number): number[] {
  const values = Array.from({ length: count }, (_, i) => i + 1)
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1))
    const value = values[i]
    const other = values[j]
    if (value === undefined || other === undefined) continue
    values[i] = other
    values[j] = value
  }
  return values
}

/** The records that each socket follows: spread evenly, so that every record has the same number of followers. */
export function followedRecords({ records, sockets }: Workload, each: number): readonly (readonly number[])[] {
  const random = randomFrom(1)
  const lists: number[][] = []
  let deck: number[] = []
  while (lists.length < sockets) {
    if (deck.length < each) deck = shuffled(records, random)
    lists.push(deck.splice(0, each))
  }
  return lists
}

/**
 * One of many filters: a third each are equality on the topic, a list of records, and a range of the price. About every
 * other change concerns one of ten thousand.
 */
export interface ItemFilter {
  readonly topic?: number
  readonly id?: { readonly in: readonly number[] }
  readonly price?: { readonly gte: number; readonly lt: number }
}

export function makeFilter(number: number, records: number): ItemFilter {
  const part = Math.floor(number / 3)
  if (number % 3 === 0) return { topic: part }
  if (number % 3 === 1) return { id: { in: [0, 1, 2].map((i) => ((part * 31 + i) % (records * 10)) + 1) } }
  return { price: { gte: part * 3, lt: part * 3 + 3 } }
}
