import type { MaybePromise, Row, Store } from '@rtapi/core'

/** A door in the way of whatever calls `pass`: closed or open, it counts who waits. */
export class Door {
  #waiting: (() => void)[] = []
  #isOpen = true

  get waiting(): number {
    return this.#waiting.length
  }

  close(): void {
    this.#isOpen = false
  }

  open(): void {
    this.#isOpen = true
    for (const go of this.#waiting.splice(0)) go()
  }

  /** Lets the one through that has waited longest, or waited least if so asked. */
  letOne(which: 'first' | 'last' = 'first'): void {
    const go = which === 'first' ? this.#waiting.shift() : this.#waiting.pop()
    go?.()
  }

  /** Goes through at once while the door is open. */
  pass<T>(work: () => MaybePromise<T>): MaybePromise<T> {
    if (this.#isOpen) return work()
    return new Promise<void>((go) => this.#waiting.push(go)).then(work)
  }
}

/** What a test has in its hands of a store: doors before its reads, and what was read. */
export interface Gated<R extends Row> {
  readonly store: Store<R>
  readonly find: Door
  readonly read: Door
  /** Calls so far. */
  readonly calls: { find: number; read: number; keys: number }
}

/**
 * Puts doors before the reads of a store: what is read is what is there when the door lets through. With `late` the
 * doors are behind the reads: what comes out may be old by then.
 */
export function gated<R extends Row>(store: Store<R>, { late = false }: { readonly late?: boolean } = {}): Gated<R> {
  const find = new Door()
  const read = new Door()
  const calls = { find: 0, read: 0, keys: 0 }
  const through = <T>(door: Door, work: () => MaybePromise<T>): MaybePromise<T> => {
    if (!late) return door.pass(work)
    const result = work()
    return door.pass(() => result)
  }
  return {
    find,
    read,
    calls,
    store: {
      entity: store.entity,
      describe: () => store.describe(),
      read(keys) {
        calls.read++
        calls.keys += keys.length
        return through(read, () => store.read(keys))
      },
      find(query) {
        calls.find++
        return through(find, () => store.find(query))
      },
      create: (data) => store.create(data),
      update: (key, patch, where) => store.update(key, patch, where),
      delete: (key, where) => store.delete(key, where),
    },
  }
}
