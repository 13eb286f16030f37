/** Values that come when they come, taken in order; a test waits for the next instead of sleeping. */
export class Queue<T> {
  readonly #values: T[] = []
  readonly #takers: ((value: T) => void)[] = []

  push(value: T): void {
    const taker = this.#takers.shift()
    if (taker === undefined) this.#values.push(value)
    else taker(value)
  }

  next(): Promise<T> {
    const value = this.#values.shift()
    if (value !== undefined) return Promise.resolve(value)
    return new Promise((resolve) => this.#takers.push(resolve))
  }

  /** What has come and was not taken. */
  get length(): number {
    return this.#values.length
  }
}
