import type { Clock } from '@rtapi/core'
import type { GroupLog, LogPosition } from './group-log.ts'
import type { JoinedGroup } from './joined-group.ts'

/** What checking needs of the layer. */
export interface CheckSurroundings {
  readonly clock: Clock
  readonly log: GroupLog
  /** Milliseconds between two checks. */
  readonly interval: number
  groups(): Iterable<JoinedGroup>
  /** Looks after the subscriptions first. */
  checkNodes(): Promise<void>
}

/** Groups compared at once. */
const BATCH = 500

/**
 * Compares where groups stand with their logs. What was sent into a connection that did not work is missed without a
 * sign if nothing follows it; and a log can be gone without a sign.
 */
export class PositionChecks {
  readonly #around: CheckSurroundings
  #cancel: (() => void) | undefined
  #isClosed = false

  constructor(around: CheckSurroundings) {
    this.#around = around
  }

  start(): void {
    if (this.#isClosed) return
    // Not all processes at the same moment.
    const delay = this.#around.interval * (0.9 + Math.random() * 0.2)
    this.#cancel = this.#around.clock.setTimer(delay, () => {
      this.#checkIdle().then(
        () => this.start(),
        // Without Redis nothing can be compared; when it is back, the connections make sure that it is.
        () => this.start(),
      )
    })
  }

  close(): void {
    this.#isClosed = true
    this.#cancel?.()
  }

  /** Checks groups whose messages may have been missed: each is certain to be compared, sooner or later. */
  async checkAll(groups: readonly JoinedGroup[]): Promise<void> {
    // One that is asking already may have asked too early.
    for (const group of groups) if (group.settled === undefined) group.check()
    try {
      await this.#compare(groups)
    } catch {
      for (const group of groups) group.check()
    }
  }

  async #checkIdle(): Promise<void> {
    await this.#around.checkNodes()
    // Where something has just come, something will come again, and show what is missing; if not, the next check does.
    const before = this.#around.clock.monotonic() - this.#around.interval / 4
    await this.#compare([...this.#around.groups()].filter(({ movedAt }) => movedAt <= before))
  }

  async #compare(groups: readonly JoinedGroup[]): Promise<void> {
    for (let start = 0; start < groups.length; start += BATCH) {
      const batch = groups.slice(start, start + BATCH).filter(({ settled }) => settled !== undefined)
      const positions = batch.map(({ settled }) => settled)
      const tops = await this.#around.log.tops(batch.map(({ keys }) => keys))
      batch.forEach((group, i) => {
        // One that has gone on meanwhile has proven that nothing was missing.
        if (group.settled === positions[i] && !isSame(tops[i], positions[i])) group.check()
      })
    }
  }
}

function isSame(one: LogPosition | undefined, two: LogPosition | undefined): boolean {
  return one?.epoch === two?.epoch && one?.seq === two?.seq && one?.tag === two?.tag
}
