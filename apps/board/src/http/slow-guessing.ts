import { HttpError } from './json-body.ts'

const mostFailures = 10
const window = 60_000
const mostAtOnce = 4
const mostWaiting = 100

/** Limits how fast passwords can be tried, and how many are checked at once: each check is expensive on purpose. */
export interface SlowGuessing {
  /**
   * Runs a check under a name; it answers `null` for a wrong guess.
   * @throws HttpError 429 after ten wrong guesses under this name within a minute, 503 while too many checks wait.
   */
  attempt<T>(who: string, check: () => Promise<T | null>): Promise<T | null>
}

export function slowGuessing(now: () => number = Date.now): SlowGuessing {
  const failures = new Map<string, { count: number; since: number }>()
  const waiting: (() => void)[] = []
  let running = 0

  function failuresOf(who: string): number {
    const entry = failures.get(who)
    if (entry !== undefined && now() - entry.since >= window) failures.delete(who)
    return failures.get(who)?.count ?? 0
  }

  function noteFailure(who: string): void {
    const entry = failures.get(who)
    if (entry !== undefined) entry.count++
    else {
      // The oldest goes first, so that made-up names cannot fill the memory.
      if (failures.size >= 10_000) failures.delete(failures.keys().next().value ?? '')
      failures.set(who, { count: 1, since: now() })
    }
  }

  async function turn(): Promise<void> {
    if (running < mostAtOnce) running++
    else if (waiting.length >= mostWaiting)
      throw new HttpError(503, 'Too many sign-ins at once.', { 'retry-after': '1' })
    else await new Promise<void>((resolve) => waiting.push(resolve))
  }

  function leave(): void {
    const next = waiting.shift()
    if (next === undefined) running--
    else next()
  }

  return {
    async attempt(who, check) {
      if (failuresOf(who) >= mostFailures) {
        throw new HttpError(429, 'Too many wrong passwords; wait a minute.', { 'retry-after': '60' })
      }
      await turn()
      try {
        const result = await check()
        if (result === null) noteFailure(who)
        return result
      } finally {
        leave()
      }
    },
  }
}
