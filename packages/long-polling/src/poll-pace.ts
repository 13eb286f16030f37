const WINDOW = 500
const MOST = 5
const PAUSE = 1_000

/**
 * Notices a client that asks for the same thing again and again, because it does not see the answers: two tabs which
 * share a session, or something between client and server that answers from memory.
 */
export class PollPace {
  #cursor = -1
  #count = 0
  #since = 0

  /** Milliseconds to wait before the next poll; 0: this one is fine. */
  pauseAt(cursor: number, now: number): number {
    if (cursor !== this.#cursor || now - this.#since >= WINDOW) {
      this.#cursor = cursor
      this.#count = 0
      this.#since = now
    }
    return ++this.#count >= MOST ? PAUSE : 0
  }
}
