/**
 * What all conformance suites share. A suite is data: an array of cases, which any test runner can run:
 * `for (const { name, run } of layerSuite(factory)) test(name, run)`.
 */

/** One thing that a contract promises. */
export interface ConformanceCase {
  readonly name: string
  /** Rejects with a `ConformanceError` if the promise is broken. */
  readonly run: () => Promise<void>
}

/** Says what an implementation did that its contract forbids. */
export class ConformanceError extends Error {
  readonly expected: unknown
  readonly actual: unknown

  constructor(message: string, values: { readonly expected?: unknown; readonly actual?: unknown } = {}) {
    super(message)
    this.name = 'ConformanceError'
    this.expected = values.expected
    this.actual = values.actual
  }
}

/** Throws unless the condition holds. */
export function check(condition: boolean, message: string): asserts condition {
  if (!condition) throw new ConformanceError(message)
}

/** Throws unless both are the same plain data. The order of the names in an object does not matter. */
export function checkEqual(actual: unknown, expected: unknown, message: string): void {
  const [found, wanted] = [canonical(actual), canonical(expected)]
  if (found === wanted) return
  throw new ConformanceError(`${message}: expected ${short(wanted)}, found ${short(found)}`, { actual, expected })
}

/** Throws unless the work throws or rejects; answers what it failed with. */
export async function checkFails(work: () => unknown, message: string): Promise<unknown> {
  try {
    await work()
  } catch (error) {
    return error
  }
  throw new ConformanceError(message)
}

function canonical(value: unknown): string {
  return JSON.stringify(value, (_, member: unknown) => {
    if (member === undefined) return { undefined: true }
    if (typeof member !== 'object' || member === null || Array.isArray(member)) return member
    return Object.fromEntries(Object.entries(member).sort(([a], [b]) => (a < b ? -1 : 1)))
  })
}

function short(text: string): string {
  return text.length <= 600 ? text : `${text.slice(0, 600)} … (${text.length} characters)`
}
