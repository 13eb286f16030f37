import type { Report } from '@rtapi/core'

/** A kind of statement whose records could not be named. */
export interface UncapturedStatement {
  /** What it does and to which table, such as `update task`. */
  readonly statement: string
  /** How often it was committed, or sent where nothing could be announced. */
  readonly count: number
  /** `coarse`: all views of the entities were queried again. `missed`: nothing was announced. */
  readonly as: 'coarse' | 'missed'
}

const OUTCOME = {
  coarse: 'all views of what it may have written are queried again',
  missed: 'nothing was announced of what it may have written',
}

/** What `UncapturedWrites` needs of an adapter. */
export interface UncapturedWritesOptions {
  readonly report: Report
  /** The adapter, as its reports begin, such as `mikro-orm`. */
  readonly name: string
  /** How to write so that the records can be named, such as `write through the unit of work to name the records`. */
  readonly advice: string
}

/** Counts the statements that went past the captures, and reports each kind once. */
export class UncapturedWrites {
  readonly #counts = new Map<string, { statement: string; count: number; as: UncapturedStatement['as'] }>()
  readonly #options: UncapturedWritesOptions

  constructor(options: UncapturedWritesOptions) {
    this.#options = options
  }

  /** A statement has been committed, or was sent where nothing could be announced of it. */
  count(statement: string, as: UncapturedStatement['as']): void {
    const known = this.#counts.get(`${as} ${statement}`)
    if (known !== undefined) {
      known.count += 1
      return
    }
    this.#counts.set(`${as} ${statement}`, { statement, count: 1, as })
    const { report, name, advice } = this.#options
    const outcome = as === 'coarse' ? `${OUTCOME[as]}; ${advice}` : OUTCOME[as]
    report(new Error(`a statement was not captured: ${statement}; ${outcome}`), { during: `${name}.uncaptured` })
  }

  /** The kinds so far. */
  list(): readonly UncapturedStatement[] {
    return [...this.#counts.values()].map((entry) => ({ ...entry }))
  }
}
