import { afterAll, beforeAll, describe, test } from 'vitest'
import type { Row } from './matrix.ts'
import { scenarios } from './scenarios.ts'
import { interruptibleView } from './resuming.ts'
import { play } from './stage.ts'
import { connectOver, links } from './transports.ts'
import { connect } from './wire-client.ts'
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

    if (row.layer === 'redis') {
      test('clients of a board that is killed go on at another from their position', () => killOne(world, row))
    }
  })
}

/** Connects over every transport of the row to one more board, and kills it. */
async function killOne(world: World, { transports }: Row): Promise<void> {
  const board = await world.addNode()
  const alice = await connectOver('ws', world.node(0).line, world.token('alice'))
  const token = world.token('bob')
  const opens = transports.filter((name) => name !== 'script').map((name) => links[name])
  const before = await Promise.all(opens.map((open) => connect(board.line, { open, token })))
  const views = await Promise.all(before.map((client) => interruptibleView(alice, client)))

  await board.stop('SIGKILL')
  await Promise.all(before.map((client) => client.closed))
  await Promise.all(views.map((view) => view.meanwhile()))
  const after = await Promise.all(opens.map((open) => connect(world.node(1).line, { open, token })))
  await Promise.all(after.map((client, at) => views[at]?.resume(client) ?? Promise.reject(new Error('unreachable'))))
  await Promise.all([alice, ...after].map((client) => client.close()))
}
