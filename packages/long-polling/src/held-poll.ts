/** A request that waits for frames behind a cursor, until it is answered, is too old, or its client has gone. */
export class HeldPoll {
  readonly cursor: number
  /** Monotonic milliseconds at which it is answered with nothing. */
  readonly deadline: number
  /** Settles with whether the answer is its own: not so if another request took its place, or nobody is there. */
  readonly answered: Promise<boolean>
  readonly #signal: AbortSignal
  readonly #onEnd: () => void
  #resolve: (isCurrent: boolean) => void = () => undefined
  readonly #leave = (): void => this.answer(false)

  /** @param onEnd - called once, when it waits no longer. */
  constructor(wait: { readonly cursor: number; readonly deadline: number }, signal: AbortSignal, onEnd: () => void) {
    this.cursor = wait.cursor
    this.deadline = wait.deadline
    this.#signal = signal
    this.#onEnd = onEnd
    this.answered = new Promise((resolve) => (this.#resolve = resolve))
    signal.addEventListener('abort', this.#leave)
  }

  /** Called once. */
  answer(isCurrent: boolean): void {
    this.#signal.removeEventListener('abort', this.#leave)
    this.#onEnd()
    this.#resolve(isCurrent)
  }
}
