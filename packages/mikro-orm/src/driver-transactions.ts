import type { EntityName } from '@mikro-orm/core'
import type { AbstractSqlDriver } from '@mikro-orm/sql'
import type { ContextStaging, TransactionContext } from './context-staging.ts'

/** What the driver is told, as far as it is read here. */
interface DriverOptions {
  readonly ctx?: TransactionContext
  readonly upsert?: boolean
}

type Method = (...args: readonly unknown[]) => Promise<unknown>

/** Where the methods of the driver that write have their options. */
const OPTIONS = {
  nativeInsert: 2,
  nativeInsertMany: 2,
  nativeUpdate: 3,
  nativeUpdateMany: 3,
  nativeDelete: 2,
  nativeClone: 3,
  syncCollections: 1,
} as const

/**
 * With an outbox: what the driver writes outside of a transaction it writes in one of its own, so that the keys of the
 * records, which are known only when the method has answered, are committed with them.
 */
export class DriverTransactions {
  readonly #staged: ContextStaging
  readonly #entitiesOf: (entity: EntityName<object>) => readonly string[]

  /** @param entitiesOf - the names under which records of a class are announced. */
  constructor(staged: ContextStaging, entitiesOf: (entity: EntityName<object>) => readonly string[]) {
    this.#staged = staged
    this.#entitiesOf = entitiesOf
  }

  /** Wraps the methods of the driver, around all who have wrapped them before; returns the undo. */
  attach(driver: AbstractSqlDriver): () => void {
    const undo = Object.entries(OPTIONS).map(([name, position]) => this.#wrap(driver, name, position))
    return () => {
      for (const restore of undo) restore()
    }
  }

  #wrap(driver: AbstractSqlDriver, name: string, position: number): () => void {
    const before = Reflect.get(driver, name) as Method
    const wasOwn = Object.hasOwn(driver, name)
    const method = before.bind(driver)
    const wrapped: Method = async (...args) => {
      const options = (args[position] ?? {}) as DriverOptions
      if (options.ctx !== undefined || this.#staged.writes.isStopped) return method(...args)
      let hasAnswered = false
      try {
        return await driver.getConnection('write').transactional(async (ctx) => {
          const given = [...args]
          given[position] = { ...options, ctx }
          if (options.upsert === true) this.#staged.willLeave(ctx as TransactionContext)
          const result = await method(...given)
          // The events that tell of its records come when the method has answered.
          if (options.upsert === true) {
            const entities = this.#entitiesOf(args[0] as EntityName<object>)
            const count = Array.isArray(args[2]) ? args[2].length : 1
            await this.#staged.leave(ctx as TransactionContext, entities, count)
          }
          hasAnswered = true
          return result
        })
      } catch (error) {
        // What the database says at the end the driver has not seen yet.
        throw hasAnswered
          ? driver
              .getPlatform()
              .getExceptionConverter()
              .convertException(error as Error)
          : error
      }
    }
    Object.defineProperty(driver, name, { value: wrapped, configurable: true, writable: true })
    return () => {
      // Somebody may have wrapped it again.
      if (Reflect.get(driver, name) !== wrapped) return
      if (wasOwn) Object.defineProperty(driver, name, { value: before, configurable: true, writable: true })
      else Reflect.deleteProperty(driver, name)
    }
  }
}
