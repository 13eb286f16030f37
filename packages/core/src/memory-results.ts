import type { HeldKey, KnownKey, Reservation, ResultKeeper } from './result-keeper.ts'
import { type Clock, systemClock } from './runtime.ts'

export interface MemoryResultsOptions {
  /** @default systemClock */
  readonly clock?: Clock
}

interface Kept {
  readonly owner: string
  readonly run: string
  readonly request: string
  readonly result: string | undefined
  readonly expiresAt: number
}

/**
 * Keeps results in this process, for an API that has no other. Nothing has a timer: what is over is dropped by the calls
 * that follow.
 */
export function memoryResults({ clock = systemClock }: MemoryResultsOptions = {}): ResultKeeper {
  return new MemoryResults(clock)
}

class MemoryResults implements ResultKeeper {
  readonly #clock: Clock
  /** Whoever was written last stands last: with one time for all, what is over stands in front. */
  readonly #kept = new Map<string, Kept>()
  readonly #counts = new Map<string, number>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  reserve(reservation: Reservation): KnownKey {
    const { owner, run, request, ttl, max } = reservation
    this.#sweep()
    const known = this.#find(reservation)
    if (known !== undefined) {
      const { result } = known
      return result === undefined
        ? { state: 'running', request: known.request }
        : { state: 'settled', request: known.request, result }
    }
    if ((this.#counts.get(owner) ?? 0) >= max) return { state: 'full', retryAfter: this.#untilRoom(owner) }
    this.#put(reservation, { owner, run, request, result: undefined, expiresAt: this.#clock.monotonic() + ttl })
    return { state: 'reserved' }
  }

  settle(held: HeldKey, result: string, ttl: number): void {
    const kept = this.#heldBy(held)
    if (kept === undefined) return
    this.#drop(nameOf(held), kept)
    this.#put(held, { ...kept, result, expiresAt: this.#clock.monotonic() + ttl })
  }

  release(held: HeldKey): void {
    const kept = this.#heldBy(held)
    if (kept !== undefined) this.#drop(nameOf(held), kept)
  }

  close(): void {
    this.#kept.clear()
    this.#counts.clear()
  }

  #find(held: Pick<HeldKey, 'owner' | 'key'>): Kept | undefined {
    const name = nameOf(held)
    const kept = this.#kept.get(name)
    if (kept === undefined || kept.expiresAt > this.#clock.monotonic()) return kept
    this.#drop(name, kept)
    return undefined
  }

  #heldBy(held: HeldKey): Kept | undefined {
    const kept = this.#find(held)
    return kept?.run === held.run && kept.result === undefined ? kept : undefined
  }

  #put(held: Pick<HeldKey, 'owner' | 'key'>, kept: Kept): void {
    this.#kept.set(nameOf(held), kept)
    this.#counts.set(kept.owner, (this.#counts.get(kept.owner) ?? 0) + 1)
  }

  #drop(name: string, { owner }: Kept): void {
    this.#kept.delete(name)
    const left = (this.#counts.get(owner) ?? 1) - 1
    if (left === 0) this.#counts.delete(owner)
    else this.#counts.set(owner, left)
  }

  #sweep(): void {
    const now = this.#clock.monotonic()
    for (const [name, kept] of this.#kept) {
      if (kept.expiresAt > now) return
      this.#drop(name, kept)
    }
  }

  #untilRoom(owner: string): number {
    let first = Number.POSITIVE_INFINITY
    for (const kept of this.#kept.values()) if (kept.owner === owner) first = Math.min(first, kept.expiresAt)
    return Math.max(1, Math.ceil(first - this.#clock.monotonic()))
  }
}

function nameOf({ owner, key }: Pick<HeldKey, 'owner' | 'key'>): string {
  return `${owner} ${key}`
}
