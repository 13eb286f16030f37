import type { Mark } from './feed.ts'
import { type Key, type KeyId, keyId } from './value.ts'

/** A changed key that has still to be read. */
export interface DirtyKey extends Mark {
  readonly key: Key
}

/** The keys that were announced and not yet read: each once, however often it changed. */
export class DirtyKeys {
  #keys = new Map<KeyId, DirtyKey>()

  get size(): number {
    return this.#keys.size
  }

  mark(key: Key, action: Mark['action'], tx: string): void {
    const id = keyId(key)
    const before = this.#keys.get(id)
    // Created and then updated within a tick is still new to whoever watches.
    this.#keys.set(id, { key, action: before?.action === 'create' && action === 'update' ? 'create' : action, tx })
  }

  /** Takes out the oldest keys, at most so many. */
  take(most: number): Map<KeyId, DirtyKey> {
    if (this.#keys.size <= most) {
      const all = this.#keys
      this.#keys = new Map()
      return all
    }
    const some = new Map([...this.#keys].slice(0, most))
    for (const id of some.keys()) this.#keys.delete(id)
    return some
  }

  /** Puts back keys that could not be read. What was announced meanwhile is newer. */
  putBack(keys: ReadonlyMap<KeyId, DirtyKey>): void {
    for (const [id, dirty] of keys) if (!this.#keys.has(id)) this.#keys.set(id, dirty)
  }
}
