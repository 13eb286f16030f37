import type { Sample } from './measure-row.ts'
import { median } from './measure/median.ts'
import type { Row } from './rows.ts'
import { BASELINE, type TargetEntry } from './targets.ts'

/** What a row says about one target. */
export interface Result {
  readonly row: string
  readonly target: string
  /** Median of the ratios to the baseline, pair by pair; 1 for the baseline itself. */
  readonly ratio: number
  /** Microseconds, or kilobytes for each socket. */
  readonly cost: number
  /** Kilobytes of heap for each socket, where memory is measured. */
  readonly heap: number
  readonly perSecond: number
  readonly writes: number
  /** Milliseconds. */
  readonly p50: number | null
  readonly p99: number | null
  /** What was to be reached, and whether it was. */
  readonly goals: readonly { readonly text: string; readonly reached: boolean }[]
}

/** Condenses the samples of all targets of a row. */
export function summariseRow(
  row: Row,
  samples: ReadonlyMap<string, readonly Sample[]>,
  entries: ReadonlyMap<string, TargetEntry>,
): readonly Result[] {
  const baseline = samples.get(BASELINE) ?? []
  return [...samples].map(([target, taken]) => {
    const result = summarise(row, target, taken, baseline)
    const goals = entries.get(target)?.goals ?? 'none'
    if (goals === 'of the row') return result
    const other = goals === 'none' ? undefined : samples.get(goals.below)
    return { ...result, goals: goals === 'none' || other === undefined ? [] : [below(goals.below, taken, other)] }
  })
}

/** Whether a target costs less than another, pair by pair. */
function below(name: string, samples: readonly Sample[], others: readonly Sample[]): Result['goals'][number] {
  const ratio = median(samples.map(({ cost }, i) => cost / (others[i]?.cost ?? NaN)))
  return { text: `${ratio.toFixed(2)} of ${name}`, reached: ratio < 1 }
}

/** Condenses the samples of one target, with those of the baseline that were taken next to them. */
export function summarise(row: Row, target: string, samples: readonly Sample[], baseline: readonly Sample[]): Result {
  const isMemory = row.unit === 'socket'
  const ratio = median(samples.map(({ cost }, i) => cost / (baseline[i]?.cost ?? NaN)))
  const result = {
    row: row.name,
    target,
    ratio,
    cost: median(samples.map(({ cost }) => cost)) / (isMemory ? 1_024 : 1),
    heap: median(samples.map(({ heap }) => heap)) / 1_024,
    perSecond: median(samples.map(({ perSecond }) => perSecond)),
    writes: median(samples.map(({ writes }) => writes)),
    p50: latency(samples, 'p50'),
    p99: latency(samples, 'p99'),
  }
  return { ...result, goals: samples === baseline ? [] : goalsOf(row, result, latency(baseline, 'p50')) }
}

function latency(samples: readonly Sample[], which: 'p50' | 'p99'): number | null {
  const known = samples.flatMap((sample) => (sample.latency === null ? [] : [sample.latency[which] / 1_000]))
  return known.length === 0 ? null : median(known)
}

function goalsOf(
  { goal, writesGoal, memoryGoal, latencyGoal = false }: Row,
  { ratio, writes, cost, p50 }: Omit<Result, 'goals'>,
  baselineP50: number | null,
): Result['goals'] {
  const goals: { text: string; reached: boolean }[] = []
  if (goal !== undefined) goals.push({ text: `ratio ≤ ${goal}`, reached: ratio <= goal })
  if (writesGoal !== undefined) goals.push({ text: `writes ≤ ${writesGoal}`, reached: writes <= writesGoal })
  if (memoryGoal !== undefined) goals.push({ text: `≤ ${memoryGoal} KB`, reached: cost <= memoryGoal })
  if (latencyGoal && p50 !== null && baselineP50 !== null)
    goals.push({ text: `p50 ≤ ${baselineP50.toFixed(2)} ms`, reached: p50 <= baselineP50 })
  return goals
}

/** The results as a table for the terminal. */
export function formatTable(results: readonly Result[]): string {
  const header = ['row', 'target', 'ratio', 'cost', 'per second', 'writes', 'p50 / p99 ms', 'goals']
  const lines = results.map((result) => [
    result.row,
    result.target,
    result.ratio.toFixed(result.ratio < 0.1 ? 3 : 2),
    result.row === 'memory'
      ? `${result.cost.toFixed(1)} KB (heap ${result.heap.toFixed(1)})`
      : `${result.cost.toFixed(2)} µs`,
    result.perSecond === 0 ? '' : Math.round(result.perSecond).toLocaleString('en'),
    result.perSecond === 0 ? '' : result.writes.toFixed(3),
    result.p50 === null ? '' : `${result.p50.toFixed(2)} / ${result.p99?.toFixed(2)}`,
    result.goals.map(({ text, reached }) => `${reached ? 'yes' : 'NO '} ${text}`).join('  '),
  ])
  const widths = header.map((title, column) =>
    Math.max(...[header, ...lines].map((line) => line[column]?.length ?? 0), title.length),
  )
  const format = (line: readonly string[]): string =>
    line
      .map((cell, i) => (i < 2 || i > 5 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
      .join('  ')
      .trimEnd()
  return [header, widths.map((width) => '─'.repeat(width)), ...lines].map(format).join('\n')
}
