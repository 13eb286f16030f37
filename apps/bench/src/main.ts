/** `npm run bench`: measures rtapi next to a bare loop, and says which goals are reached. See README.md. */
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { pinning } from './bench-process.ts'
import { type Plan, measureRow } from './measure-row.ts'
import { type Result, formatTable, summariseRow } from './report.ts'
import { rows } from './rows.ts'
import { BASELINE, targets, targetsOf } from './targets.ts'

const { values: flags } = parseArgs({
  options: {
    rows: { type: 'string' },
    targets: { type: 'string' },
    pairs: { type: 'string' },
    milliseconds: { type: 'string' },
    profile: { type: 'string' },
    quick: { type: 'boolean', default: false },
    json: { type: 'string' },
    bulk: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
})

if (flags.help) {
  console.log(`npm run bench -- [flags]

  --rows a,b           only these rows: ${rows.map((row) => row.name).join(', ')}
  --targets a,b        only these targets: ${Object.keys(targets).join(', ')}
  --quick              fewer and shorter measurements, of the bare loop and rtapi alone unless others are named
  --pairs n            measurements of each target in each row
  --milliseconds n     length of one measurement
  --profile folder     writes a CPU profile of each server there
  --json file          writes the results there too
  --bulk               instead of the rows: 10,000 rows change at once, and how long the server is blocked at a time`)
} else if (flags.bulk) {
  const { runBulk } = await import('./bulk/run-bulk.ts')
  await runBulk(flags)
} else {
  await run()
}

async function run(): Promise<void> {
  const chosenRows = choose(flags.rows, new Map(rows.map((row) => [row.name, row])))
  const standard = Object.entries(targets).flatMap(([name, { standard }]) =>
    standard === 'always' || (standard === 'unless quick' && !flags.quick) ? [name] : [],
  )
  const chosenTargets = choose(flags.targets ?? standard.join(), new Map(Object.entries(targets)))
  const plan: Plan = {
    pairs: Number(flags.pairs ?? (flags.quick ? 2 : 7)),
    memoryPairs: flags.quick ? 1 : 3,
    milliseconds: Number(flags.milliseconds ?? (flags.quick ? 300 : 2_000)),
    warmUp: flags.quick ? 400 : 2_000,
    profiles: flags.profile,
  }
  console.log(
    `Node ${process.versions.node}, ${pinning ? 'server and load on a core each' : 'processes not tied to cores'}, ` +
      `${plan.pairs} measurements of ${plan.milliseconds} ms each; ratios are to ${BASELINE}.\n`,
  )
  const results: Result[] = []
  for (const row of chosenRows.values()) {
    console.error(`${row.name}: ${row.title} …`)
    const samples = await measureRow(row, targetsOf(row, chosenTargets), plan)
    results.push(...summariseRow(row, samples, chosenTargets))
  }
  console.log(formatTable(results))
  const goals = results.flatMap((result) => result.goals)
  console.log(`\n${goals.filter((goal) => goal.reached).length} of ${goals.length} goals reached`)
  if (flags.json !== undefined) writeFileSync(flags.json, `${JSON.stringify(results, null, 2)}\n`)
}

function choose<T>(names: string | undefined, known: ReadonlyMap<string, T>): ReadonlyMap<string, T> {
  if (names === undefined) return known
  return new Map(
    names.split(',').map((name) => {
      const found = known.get(name)
      if (found === undefined) throw new Error(`unknown: ${name}; there are ${[...known.keys()].join(', ')}`)
      return [name, found]
    }),
  )
}
