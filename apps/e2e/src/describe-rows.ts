import { createClient } from 'redis'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Row } from './matrix.ts'
import { scenarios } from './scenarios.ts'
import { interruptibleView } from './resuming.ts'
import { create, play } from './stage.ts'
import { connectOver, links } from './transports.ts'
import { connect } from './wire-client.ts'
import type { World } from './world.ts'
import { Worlds } from './worlds.ts'

/** Plays every scenario on every row, over each of its transports. */
export function describeRows(rows: readonly Row[]): void {
  const worlds = new Worlds(rows)
  afterAll(() => worlds.stopAll())

  describe.each(rows)('$layer, $orm, $database', (row) => {
    let world: World
    let expiry: Promise<void>
    beforeAll(async () => {
      ;({ world, expiry } = await worlds.of(row))
    })
    afterAll(() => worlds.stop(row))

    describe.each(row.transports)('over %s', (transport) => {
      const kind = transport === 'script' ? 'script' : 'links'
      const possible = scenarios.filter(({ over = kind }) => over === kind)
      for (const { title, run } of possible) test(title, () => play(world, transport, run))
    })

    if (row.layer === 'redis') {
      test('clients of a board that is killed go on at another from their position', () => killOne(world, row))
      test('keys travel between boards, and no rows', () => listenIn(world))
    }
    test('a sign-in that runs out ends what it shows, one that is renewed in place does not', () => expiry)
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

/** Hears all that is published while a record is written at one board and shown at another. */
async function listenIn(world: World): Promise<void> {
  const spy = await createClient({ url: world.redis?.url ?? '' }).connect()
  const heard: string[] = []
  await spy.pSubscribe('*', (message) => heard.push(message))
  const alice = await connectOver('ws', world.node(0).line, world.token('alice'))
  const bob = await connectOver('ws', world.node(1).line, world.token('bob'))
  const projectId = await create(alice, 'projects', { name: 'unheard of', public: true })
  const view = await bob.subscribe('tasks', { where: { projectId } })
  const key = await create(alice, 'tasks', { projectId, title: 'unheard of', notes: 'unheard of' })
  await view.until(() => view.rows.get(key)?.['title'] === 'unheard of')
  const entries = heard.filter((message) => message.includes(`"key":${key}`))
  expect(entries.length, 'the key has been heard').toBeGreaterThan(0)
  expect(heard.filter((message) => message.includes('unheard of'))).toEqual([])
  await Promise.all([alice.close(), bob.close(), spy.close()])
}
