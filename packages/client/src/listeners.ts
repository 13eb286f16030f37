import type { Report } from '@rtapi/core'

/** Hands an error to the platform as an uncaught one, without stopping the work at hand. */
export const reportUncaught: Report = (error) => {
  if (typeof globalThis.reportError === 'function') globalThis.reportError(error)
  else {
    queueMicrotask(() => {
      throw error
    })
  }
}

/** Functions that want to hear of something. One that throws is reported and does not keep the others from hearing. */
export class Listeners<Args extends readonly unknown[]> {
  readonly #listeners = new Set<{ readonly call: (...args: Args) => void }>()
  readonly #report: Report

  constructor(report: Report) {
    this.#report = report
  }

  /** Adds a listener; returns its undo. */
  add(call: (...args: Args) => void): () => void {
    const entry = { call }
    this.#listeners.add(entry)
    return () => {
      this.#listeners.delete(entry)
    }
  }

  get size(): number {
    return this.#listeners.size
  }

  /** Calls those that listen now; one that is undone meanwhile is not called. */
  emit(...args: Args): void {
    const now = [...this.#listeners]
    for (const entry of now) if (this.#listeners.has(entry)) this.call(entry.call, ...args)
  }

  /** Calls one listener alone. */
  call(listener: (...args: Args) => void, ...args: Args): void {
    try {
      listener(...args)
    } catch (error) {
      this.#report(error, { during: 'listener' })
    }
  }
}
