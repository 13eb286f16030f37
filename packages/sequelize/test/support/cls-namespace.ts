import { AsyncLocalStorage } from 'node:async_hooks'

/** What `Sequelize.useCLS` asks for, on the storage of Node. */
export function namespace() {
  const storage = new AsyncLocalStorage<Map<string, unknown>>()
  const copy = () => new Map(storage.getStore())
  return {
    get: (key: string) => storage.getStore()?.get(key),
    set: (key: string, value: unknown) => void storage.getStore()?.set(key, value),
    run: (work: (context: unknown) => void) => storage.run(copy(), () => work(storage.getStore())),
    bind: (work: (...args: unknown[]) => unknown) => {
      const context = copy()
      return (...args: unknown[]) => storage.run(context, () => work(...args))
    },
  }
}
