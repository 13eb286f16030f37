/** Random numbers that are the same each time for the same seed, so that what they have found can be found again. */
export interface SeededRandom {
  /** From 0 up to, but not including, 1. */
  next(): number
  /** A whole number from 0 up to, but not including, `below`. */
  integer(below: number): number
  /** `true` with this probability. */
  chance(probability: number): boolean
  /** @throws RangeError if there is nothing to pick from. */
  pick<T>(items: readonly T[]): T
}

/** Mulberry32: 32 bits of state, even enough for tests, worthless for secrets. */
export function seededRandom(seed: number): SeededRandom {
  let state = seed | 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
  const integer = (below: number): number => Math.floor(next() * below)
  return {
    next,
    integer,
    chance: (probability) => next() < probability,
    pick(items) {
      const index = integer(items.length)
      if (index >= items.length) throw new RangeError('nothing to pick from')
      return items[index] as (typeof items)[number]
    },
  }
}
