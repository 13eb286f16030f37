import type { ConformanceCase } from '@rtapi/testing'

/** Runs all cases and answers the names of those that fail, with what they say. */
export async function failuresOf(cases: readonly ConformanceCase[]): Promise<string[]> {
  const failures: string[] = []
  for (const { name, run } of cases) {
    try {
      await run()
    } catch (error) {
      failures.push(`${name}: ${String(error)}`)
    }
  }
  return failures
}
