/** Work that goes on side by side, and of which it is told how far it is done without a gap. */
export class InOrder {
  readonly #most: number
  readonly #reached: (place: bigint) => void
  #underway: { readonly place: bigint; isDone: boolean }[] = []
  #free: (() => void) | undefined
  #closed = false

  /**
   * @param most - so much may go on at once.
   * @param reached - everything up to this place is done.
   */
  constructor(most: number, reached: (place: bigint) => void) {
    this.#most = most
    this.#reached = reached
  }

  get isIdle(): boolean {
    return this.#underway.length === 0
  }

  /** Waits for a free place, and begins. The work must not reject; it answers whether it is done, or was given up. */
  async begin(place: bigint, work: () => Promise<boolean>): Promise<void> {
    while (this.#underway.length >= this.#most && !this.#closed)
      await new Promise<void>((resolve) => (this.#free = resolve))
    if (this.#closed) return
    const entry = { place, isDone: false }
    this.#underway.push(entry)
    void work().then((isDone) => {
      entry.isDone = isDone
      this.#advance()
    })
  }

  /** Nothing more begins, and nothing is told of what is under way. */
  close(): void {
    this.#closed = true
    this.#free?.()
  }

  #advance(): void {
    let reached: bigint | undefined
    while (this.#underway[0]?.isDone === true) reached = this.#underway.shift()?.place
    if (reached === undefined || this.#closed) return
    this.#reached(reached)
    this.#free?.()
  }
}
