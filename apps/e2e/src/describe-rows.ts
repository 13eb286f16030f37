import { afterAll, beforeAll, describe, test } from 'vitest'
import type { Row } from './matrix.ts'
import { scenarios } from './scenarios.ts'
import { play } from './stage.ts'
import { type World, startWorld } from './world.ts'

/** Plays every scenario on every row, over each of its transports. */
export function describeRows(rows: readonly Row[]): void {
  describe.each(rows)('$layer, $orm, $database', (row) => {
    let world: World
    beforeAll(async () => {
      world = await startWorld(row)
    })
    afterAll(() => world.stop())

    describe.each(row.transports)('over %s', (transport) => {
      const kind = transport === 'script' ? 'script' : 'links'
      const possible = scenarios.filter(({ over = kind }) => over === kind)
      for (const { title, run } of possible) test(title, () => play(world, transport, run))
    })
  })
}
