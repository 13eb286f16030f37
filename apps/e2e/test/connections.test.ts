import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { type WireClient, connect } from '../src/wire-client.ts'
import { type World, startWorld } from '../src/world.ts'

// Processes take their time where many tests run at once.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 })

let world: World

beforeAll(async () => void (world = await startWorld({ layer: 'redis', orm: 'mikro-orm', database: 'sqlite' })))
afterAll(() => world.stop())

/** Where bob is connected, as the n-th board has it. */
async function connectionsOf(n: number): Promise<unknown> {
  const headers = { authorization: `Bearer ${world.token('bob')}` }
  const response = await fetch(`${world.node(n).line.http}/connections`, { headers })
  const { connections, complete } = (await response.json()) as {
    connections: { connection: string }[]
    complete: boolean
  }
  return { ids: connections.map(({ connection }) => connection).toSorted(), complete }
}

function eventually(check: () => Promise<void>): Promise<void> {
  return vi.waitFor(check, { timeout: 60_000, interval: 50 })
}

test('each board knows who is connected to the others, and forgets those of one that is killed within 15 seconds', async () => {
  const third = await world.addNode()
  const token = world.token('bob')
  const [here, there] = [await connect(world.node(0).line, { token }), await connect(world.node(1).line, { token })]
  const doomed = await connect(third.line, { token })
  await connect(third.line, { token: world.token('alice') })
  const ids = async (...clients: readonly WireClient[]): Promise<string[]> =>
    (await Promise.all(clients.map(({ welcomed }) => welcomed))).map(({ connection }) => connection).toSorted()
  const three = { ids: await ids(here, there, doomed), complete: true }
  const two = { ids: await ids(here, there), complete: true }
  const one = { ids: await ids(here), complete: true }
  for (const n of [0, 1]) await eventually(async () => expect(await connectionsOf(n)).toEqual(three))

  await third.stop('SIGKILL')
  const killedAt = performance.now()
  for (const n of [0, 1]) await eventually(async () => expect(await connectionsOf(n)).toEqual(two))
  if (process.env['FIGURES'] !== undefined) console.log({ forgottenAfter: performance.now() - killedAt })

  await there.close()
  await eventually(async () => expect(await connectionsOf(0)).toEqual(one))
})
