/** Runs one piece of work after the other. */
export class WriteQueue {
  #last: Promise<unknown> = Promise.resolve()

  /** Runs the work when all that was given before has ended, well or not. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work, work)
    this.#last = turn.catch(() => undefined)
    return turn
  }
}
