import type { ChannelLayer, MaybePromise, Row, Store } from '@rtapi/core'
import type { SeededRandom } from '../../src/seeded-random.ts'

/** Decides in which order everything that waits goes on: one step at a time, chosen by a seed. */
export class Scheduler {
  readonly #random: SeededRandom
  #waiting: (() => void)[] = []

  constructor(random: SeededRandom) {
    this.#random = random
  }

  get size(): number {
    return this.#waiting.length
  }

  turn(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  /** Lets one of those that wait go on. */
  step(): void {
    if (this.#waiting.length === 0) return
    const [run] = this.#waiting.splice(this.#random.integer(this.#waiting.length), 1)
    run?.()
  }

  /** Does the work at some moment between the call and its answer, as a database or a server far away does. */
  async call<T>(work: () => MaybePromise<T>): Promise<T> {
    const before = this.#random.integer(3)
    for (let i = 0; i < before; i++) await this.turn()
    const result = await work()
    for (let i = this.#random.integer(3); i > 0; i--) await this.turn()
    return result
  }
}

/** A store whose reads take their time; its writes are those of the store itself. */
export function scheduledStore<R extends Row>(store: Store<R>, scheduler: Scheduler): Store<R> {
  return {
    entity: store.entity,
    describe: () => store.describe(),
    read: (keys) => scheduler.call(() => store.read(keys)),
    find: (query) => scheduler.call(() => store.find(query)),
    create: (data) => store.create(data),
    update: (key, patch, where) => store.update(key, patch, where),
    delete: (key, where) => store.delete(key, where),
  }
}

/**
 * A layer whose calls take their time: another process may publish first what was committed last. It delivers now and
 * then twice, loses an entry, or says that it may have lost some.
 */
export function scheduledLayer(layer: ChannelLayer, scheduler: Scheduler, random: SeededRandom): ChannelLayer {
  return {
    open: (events) =>
      layer.open({
        deliver(group, position, entry) {
          const dice = random.integer(40)
          if (dice === 0) events.lost(group)
          if (dice === 1) events.lost()
          // A loss shows by the number of the next entry, or is said by the layer when it notices.
          if (dice === 2) void scheduler.turn().then(() => events.lost(group))
          else events.deliver(group, position, entry)
          if (dice === 3) events.deliver(group, position, entry)
        },
        lost: (group) => events.lost(group),
      }),
    join: (group) => scheduler.call(() => layer.join(group)),
    leave: (group) => scheduler.call(() => layer.leave(group)),
    publish: (group, entry) => scheduler.call(() => layer.publish(group, entry)),
    history: (group, since) => scheduler.call(() => layer.history(group, since)),
    close: () => layer.close(),
  }
}
