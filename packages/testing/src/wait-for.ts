/** What to wait for, and how to find out that it has come. */
export interface Wait<T> {
  /** For the error message. */
  readonly what: string
  /** Milliseconds of real time. */
  readonly timeout: number
  /** Answers what is waited for as soon as it is there; throws if it can never come. */
  take(): T | undefined
  /** Moves what a fake clock holds back. */
  settle?(): Promise<void>
  /** Calls `run` when something has arrived; returns its undo. */
  onArrival(run: () => void): () => void
  /** What has happened so far, for the error message. */
  story(): string
}

/** Milliseconds between two looks while a fake clock may hold deferred work that answers from elsewhere bring about. */
const POLL = 2

/**
 * Waits for something to arrive. It looks when something has arrived and, with a fake clock, settles it meanwhile.
 * @throws Error with the story when the time is up.
 */
export async function waitFor<T>(wait: Wait<T>): Promise<T> {
  const until = performance.now() + wait.timeout
  for (;;) {
    const found = wait.take()
    if (found !== undefined) return found
    const left = until - performance.now()
    if (left <= 0) throw new Error(`waited ${wait.timeout} ms for ${wait.what} ${wait.story()}`)
    if (wait.settle === undefined) await arrival(wait, left)
    else {
      await wait.settle()
      const settled = wait.take()
      if (settled !== undefined) return settled
      await arrival(wait, POLL)
    }
  }
}

function arrival(wait: Wait<unknown>, atMost: number): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer)
      cancel()
      resolve()
    }
    const cancel = wait.onArrival(done)
    const timer = setTimeout(done, atMost)
  })
}
