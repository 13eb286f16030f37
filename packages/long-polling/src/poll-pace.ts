const WINDOW = 500
const MOST = 5
/** Milliseconds after which a client that was too fast may ask again. */
const PAUSE = 1_000

/**
 * Notices a client that asks again and again without getting any further, because it does not see the answers: two tabs
 * which share a session, or something between client and server that answers from memory.
 */
export class PollPace {
  #furthest = -1
  #count = 0
  #since = 0

  /** Milliseconds to wait before the next poll; 0: this one is fine. */
  pauseAt(cursor: number, now: number): number {
    if (cursor > this.#furthest || now - this.#since >= WINDOW) {
      this.#furthest = Math.max(cursor, this.#furthest)
      this.#count = 0
      this.#since = now
    }
    return ++this.#count >= MOST ? PAUSE : 0
  }
}
