/** Lets at most `width` pieces of work run at once; the others wait in the order of their coming. */
export class Gate {
  readonly #width: number
  #running = 0
  readonly #waiting: (() => void)[] = []

  constructor(width: number) {
    this.#width = width
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running >= this.#width) await new Promise<void>((enter) => this.#waiting.push(enter))
    else this.#running++
    try {
      return await work()
    } finally {
      const next = this.#waiting.shift()
      // The place is handed on, so that nobody can slip in between.
      if (next === undefined) this.#running--
      else next()
    }
  }
}
