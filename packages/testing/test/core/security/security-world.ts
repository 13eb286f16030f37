import type { RequestMessage, ServerMessage } from '@rtapi/core'
import { type FakeClock, type TestClient, connect, fakeClock } from '@rtapi/testing'
import { expect } from 'vitest'
import { type AttackWorld, type AttackWorldOptions, openAttackWorld } from '../../../src/attack-world.ts'

export type { AttackedNote as Note } from '../../../src/attack-world.ts'

/** The world of `attackSuite`, in this process and with a clock of the test. */
export interface World extends AttackWorld {
  readonly clock: FakeClock
  readonly as: (token: string) => Promise<TestClient>
}

const worlds: World[] = []

export function openWorld(options: AttackWorldOptions = {}): World {
  const clock = fakeClock()
  const attacked = openAttackWorld({ clock, ...options })
  const world: World = { ...attacked, clock, as: (token) => connect(attacked.api, { token }) }
  worlds.push(world)
  return world
}

/** Every world serves others to the end, was told of no fault of its own, and leaves nothing behind. */
export async function closeWorlds(): Promise<void> {
  for (const { api, clock, reports } of worlds.splice(0)) {
    const honest = await connect(api, { token: 'honest' })
    expect(await honest.request({ resource: 'notes', action: 'list' })).toMatchObject({ ok: true })
    expect(reports).toEqual([])
    await api.close()
    await clock.settle()
    expect(clock.timers).toBe(0)
    expect(api.stats()).toMatchObject({ connections: 0, subscriptions: 0, feeds: 0, timers: 0 })
  }
}

/** The code by which a request is refused, or `ok`. */
export async function codeOf(client: TestClient, message: Omit<RequestMessage, 'type' | 'id'>): Promise<string> {
  const reply = await client.request(message)
  return reply.ok ? 'ok' : reply.error.code
}

/** Sends a frame as it is and answers the last message that comes of it, as text. */
export async function answerTo({ clock }: World, client: TestClient, frame: string | Uint8Array): Promise<string> {
  const before = client.messages.length
  client.sendRaw(frame)
  await clock.settle()
  const last: ServerMessage | undefined = client.messages.slice(before).at(-1)
  return JSON.stringify(last ?? null)
}
