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

const ADVICE = {
  coarse: 'all views of what it may have written are queried again; write through the unit of work to name the records',
  missed: 'nothing was announced of what it may have written',
}

/** Counts the statements that went past the captures, and reports each kind once. */
export class UncapturedWrites {
  readonly #counts = new Map<string, { statement: string; count: number; as: UncapturedStatement['as'] }>()
  readonly #report: Report

  constructor(report: Report) {
    this.#report = report
  }

  count(statement: string, as: UncapturedStatement['as']): void {
    const known = this.#counts.get(`${as} ${statement}`)
    if (known !== undefined) {
      known.count += 1
      return
    }
    this.#counts.set(`${as} ${statement}`, { statement, count: 1, as })
    this.#report(new Error(`a statement was not captured: ${statement}; ${ADVICE[as]}`), {
      during: 'mikro-orm.uncaptured',
    })
  }

  list(): readonly UncapturedStatement[] {
    return [...this.#counts.values()].map((entry) => ({ ...entry }))
  }
}
