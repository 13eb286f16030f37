import { wrap } from '@mikro-orm/core'
import type { SqlEntityManager } from '@mikro-orm/sql'
import type { Thing as ThingRow, ThingWriter } from '@rtapi/testing'
import type { TestOrm } from './databases.ts'
import { Thing } from './entities.ts'

/** Writes through the unit of work: outside of transactions with a new entity manager each time. */
export class MikroWriter implements ThingWriter {
  readonly #orm: TestOrm
  readonly #em: SqlEntityManager | undefined

  constructor(orm: TestOrm, em?: SqlEntityManager) {
    this.#orm = orm
    this.#em = em
  }

  /** For what a path does by itself. What a savepoint has changed and rolled back must not be taken for the truth. */
  get em(): SqlEntityManager {
    this.#em?.clear()
    return this.#em ?? this.#orm.em.fork()
  }

  async create(data: ThingRow): Promise<void> {
    const { em } = this
    em.create(Thing, valuesOf(data) as never)
    await em.flush()
  }

  async update(id: number, patch: Partial<ThingRow>): Promise<void> {
    const { em } = this
    wrap(await this.#find(em, id)).assign(valuesOf(patch) as never, { em })
    await em.flush()
  }

  async remove(id: number): Promise<void> {
    const { em } = this
    em.remove(await this.#find(em, id))
    await em.flush()
  }

  async #find(em: SqlEntityManager, id: number) {
    // The driver of SQLite hands over no integers above 2^53.
    const isSqlite = em.getPlatform().constructor.name === 'SqlitePlatform'
    return isSqlite ? em.findOneOrFail(Thing, id, { exclude: ['total'] }) : em.findOneOrFail(Thing, id)
  }

  async transaction<T>(work: (writer: this) => Promise<T>): Promise<T> {
    return this.em.transactional(async (em) => work(new MikroWriter(this.#orm, em) as this))
  }
}

/** The values as the entity holds them. */
function valuesOf({ happenedAt, total, ...data }: Partial<ThingRow>): object {
  return {
    ...data,
    ...(happenedAt === undefined ? {} : { happenedAt: happenedAt === null ? null : new Date(happenedAt) }),
    ...(total === undefined ? {} : { total: total === null ? null : BigInt(total) }),
  }
}
