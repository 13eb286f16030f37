/** A set for the many places that mostly hold one value: it is small until there is a second. */
export class Bucket<T extends object> {
  #first: T | undefined
  #others: Set<T> | undefined

  constructor(first: T) {
    this.#first = first
  }

  get size(): number {
    return (this.#first === undefined ? 0 : 1) + (this.#others?.size ?? 0)
  }

  add(value: T): void {
    if (this.#first === value || this.#others?.has(value) === true) return
    if (this.#first === undefined) this.#first = value
    else (this.#others ??= new Set()).add(value)
  }

  delete(value: T): void {
    if (this.#first === value) this.#first = undefined
    else if (this.#others?.delete(value) === true && this.#others.size === 0) this.#others = undefined
  }

  visit(found: (value: T) => void): void {
    if (this.#first !== undefined) found(this.#first)
    if (this.#others !== undefined) for (const value of this.#others) found(value)
  }
}
