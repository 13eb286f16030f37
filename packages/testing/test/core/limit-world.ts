import {
  type Api,
  type Limits,
  type MemoryStore,
  type ServerMessage,
  createApi,
  defineResource,
  memoryBus,
  memoryStore,
} from '@rtapi/core'
import { type FakeClock, type FaultyLayer, type TestClient, connect, fakeClock, faultyLayer } from '@rtapi/testing'
import { expect } from 'vitest'
import { Door, type Gated, gated } from './gated.ts'

type Note = { id: number; text: string }

/** An API with one limit set, and what a probe needs around it. */
export interface World {
  readonly api: Api
  readonly clock: FakeClock
  readonly notes: MemoryStore<Note>
  readonly behind: Gated<Note>
  readonly rule: Door
  readonly layer: FaultyLayer
  /** One who has said hello. */
  readonly client: TestClient
}

const worlds: World[] = []

export async function open(limits: Partial<Limits>): Promise<World> {
  const clock = fakeClock()
  const bus = memoryBus({ clock })
  const layer = faultyLayer(bus.layer(), { seed: 1, clock })
  const notes = memoryStore<Note>({
    entity: 'Note',
    fields: { id: 'integer', text: 'string' },
    rows: [{ id: 1, text: 'one' }],
  })
  const behind = gated(notes)
  const rule = new Door()
  const api = createApi({
    resources: [
      defineResource('notes', {
        store: behind.store,
        permissions: [{ allows: () => rule.pass(() => true) }],
        input: { create: ['text'], update: ['text'] },
        ownActions: {
          echo: { run: (_context, { key }) => 'x'.repeat(Number(key)) },
          take: {
            input: { '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value }) } },
            run: () => 1,
          },
        },
      }),
    ],
    changes: [notes],
    layer,
    clock,
    limits,
    authenticate: ({ token }) => {
      const [id = '', left = ''] = (token ?? '').split(':')
      return id === '' ? null : { user: { id }, ...(left === '' ? {} : { expiresAt: clock.now() + Number(left) }) }
    },
    report: () => undefined,
  })
  const world = { api, clock, notes, behind, rule, layer, client: await connect(api, { token: 'ada' }) }
  worlds.push(world)
  return world
}

/** Ends all worlds of a test; nothing of them is left behind. */
export async function closeWorlds(): Promise<void> {
  for (const { api, clock, behind, rule } of worlds.splice(0)) {
    for (const door of [behind.find, behind.read, rule]) door.open()
    await api.close()
    await clock.settle()
    expect(clock.timers).toBe(0)
  }
}

// ── What came of it ─────────────────────────────────────────────────────────────────────────────────────────────────

export function outcome(message: ServerMessage): string {
  if (message.type === 'reply') return message.ok ? 'ok' : message.error.code
  return message.type === 'end' ? (message.error?.code ?? 'ended') : message.type
}

export const state = ({ closed }: TestClient): string => (closed === undefined ? 'open' : String(closed.code))

/** Sends one frame and answers what its last message came to. */
export async function told({ client, clock }: World, frame: unknown): Promise<string> {
  const before = client.messages.length
  client.sendRaw(typeof frame === 'string' ? frame : JSON.stringify(frame))
  await clock.settle()
  const last = client.messages.slice(before).at(-1)
  return client.closed === undefined ? (last === undefined ? 'nothing' : outcome(last)) : String(client.closed.code)
}
