import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { CanaryRun } from '../src/attacker/canary-run.ts'
import { startAttackedBoard } from '../src/attacker/start-attacked-board.ts'
import type { BoardProcess } from '../src/board-process.ts'
import { type TestDatabase, newDatabase } from '../src/databases.ts'

/**
 * Of a real board, over all transports at once: `SEEDS=50` tries more, `SEED=7` repeats one; `STEPS` is how many things
 * happen under each.
 */

vi.setConfig({ testTimeout: 600_000, hookTimeout: 120_000 })

const only = process.env['SEED']
const seeds =
  only === undefined ? Array.from({ length: Number(process.env['SEEDS'] ?? 2) }, (_, i) => i + 1) : [Number(only)]
const steps = Number(process.env['STEPS'] ?? 250)

let database: TestDatabase
let board: BoardProcess
const tokens = new Map<string, string>()

beforeAll(async () => {
  database = await newDatabase('sqlite')
  board = await startAttackedBoard(['--db', database.url, '--layer', 'memory', '--seed', 'empty'])
  for (const name of ['alice', 'bob', 'carol', 'root']) tokens.set(name, await board.login(name))
})

afterAll(async () => {
  await board.stop('SIGKILL')
  await database.remove()
})

test.each(seeds)('no byte that comes to a client holds what it may not see then, with seed %i', async (seed) => {
  const run = await CanaryRun.start(seed, board, tokens)
  try {
    for (let i = 0; i < steps; i++) await run.step()
  } finally {
    await run.end()
  }
  expect(run.leaks, `SEED=${seed}`).toEqual([])
  // Or nothing has been tried.
  expect(run.found).toBeGreaterThan(steps)
})
