import type { Clock } from '@rtapi/core'

/** A pause that somebody may end early. A call to `wake` while nobody waits ends the next pause at once. */
export class WakeUp {
  readonly #clock: Clock
  #isDue = false
  #end: (() => void) | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  wake(): void {
    this.#isDue = true
    this.#end?.()
  }

  /** Waits so many milliseconds at most. */
  wait(delay: number): Promise<void> {
    if (this.#isDue) {
      this.#isDue = false
      return Promise.resolve()
    }
    return new Promise((resolve) => {
      const cancel = this.#clock.setTimer(delay, () => this.#end?.())
      this.#end = () => {
        this.#end = undefined
        this.#isDue = false
        cancel()
        resolve()
      }
    })
  }
}
