/** What is on its way. */
export class Arrivals {
  #expected = 0
  #waiting: (() => void)[] = []

  /** One more is expected, until the answered function is called, be it again and again. */
  expect(): () => void {
    this.#expected += 1
    let isExpected = true
    return () => {
      if (!isExpected) return
      isExpected = false
      this.#expected -= 1
      if (this.#expected > 0) return
      for (const resolve of this.#waiting.splice(0)) resolve()
    }
  }

  /** Settles when nothing is expected any more. */
  async all(): Promise<void> {
    if (this.#expected > 0) await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }
}
