import type { PresenceKeeper, PresenceWrite, Presences } from './presence-keeper.ts'
import type { Clock } from './runtime.ts'

interface Said {
  readonly values: Map<string, string>
  expiresAt: number
}

/** Keeps what processes say in this one. Nothing has a timer: whose time is over is dropped by the calls that follow. */
export function memoryPresence(clock: Clock): PresenceKeeper {
  return new MemoryPresence(clock)
}

class MemoryPresence implements PresenceKeeper {
  readonly #clock: Clock
  readonly #said = new Map<string, Said>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  write({ process, values, ttl, anew }: PresenceWrite): boolean {
    this.#sweep()
    if (anew) this.#said.set(process, { values: new Map(), expiresAt: 0 })
    const said = this.#said.get(process)
    if (said === undefined) return false
    said.expiresAt = this.#clock.monotonic() + ttl
    for (const [label, value] of values) {
      if (value === undefined) said.values.delete(label)
      else said.values.set(label, value)
    }
    return true
  }

  read(labels: readonly string[] | 'all'): Presences {
    this.#sweep()
    const presences = new Map<string, ReadonlyMap<string, string>>()
    for (const [process, { values }] of this.#said) {
      if (labels === 'all') presences.set(process, new Map(values))
      else presences.set(process, only(values, labels))
    }
    return presences
  }

  forget(process: string): void {
    this.#said.delete(process)
  }

  #sweep(): void {
    const now = this.#clock.monotonic()
    for (const [process, { expiresAt }] of this.#said) if (expiresAt <= now) this.#said.delete(process)
  }
}

function only(values: ReadonlyMap<string, string>, labels: readonly string[]): ReadonlyMap<string, string> {
  const some = new Map<string, string>()
  for (const label of labels) {
    const value = values.get(label)
    if (value !== undefined) some.set(label, value)
  }
  return some
}
