import { expire } from './expiry.ts'
import type { Row } from './matrix.ts'
import { type World, startWorld } from './world.ts'

/** The boards of a row, and what is played on them from the beginning on, since most of it is waiting. */
export interface Begun {
  readonly world: World
  readonly expiry: Promise<void>
}

/** Begins the worlds of rows one after the other, each while its predecessor is played on. */
export class Worlds {
  readonly #rows: readonly Row[]
  readonly #begun = new Map<Row, Promise<Begun>>()

  constructor(rows: readonly Row[]) {
    this.#rows = rows
  }

  async of(row: Row): Promise<Begun> {
    const begun = await this.#begin(row)
    const next = this.#rows[this.#rows.indexOf(row) + 1]
    // What is wrong with it is said when its turn comes.
    if (next !== undefined) this.#begin(next).catch(() => undefined)
    return begun
  }

  async stop(row: Row): Promise<void> {
    const begun = this.#begun.get(row)
    this.#begun.delete(row)
    // One that did not start has cleaned up.
    await begun?.then(
      ({ world }) => world.stop(),
      () => undefined,
    )
  }

  /** Also those that nobody has asked for in the end. */
  async stopAll(): Promise<void> {
    await Promise.all([...this.#begun.keys()].map((row) => this.stop(row)))
  }

  #begin(row: Row): Promise<Begun> {
    const begun = this.#begun.get(row) ?? begin(row)
    this.#begun.set(row, begun)
    return begun
  }
}

async function begin(row: Row): Promise<Begun> {
  const world = await startWorld(row)
  const expiry = expire(world, row)
  // It is looked at when all else has been played.
  expiry.catch(() => undefined)
  return { world, expiry }
}
