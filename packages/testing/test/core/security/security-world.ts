import {
  type Api,
  type Json,
  type ApiOptions,
  type MemoryStore,
  type Permission,
  type RequestMessage,
  RtapiError,
  type User,
  type ServerMessage,
  createApi,
  defineResource,
  isAdmin,
  memoryStore,
  some,
} from '@rtapi/core'
import { type FakeClock, type TestClient, connect, fakeClock } from '@rtapi/testing'
import { expect } from 'vitest'

export type Note = {
  id: number
  owner: string
  text: string
  code: string | null
  count: number | null
  big: string | null
  price: string | null
  at: string | null
  extra: Json
  secret: string
}

/** What an attacker meets: notes that one owns or that are open, with a field that only administrators see. */
export interface World {
  readonly api: Api
  readonly clock: FakeClock
  readonly notes: MemoryStore<Note>
  readonly reports: string[]
  readonly as: (token: string) => Promise<TestClient>
}

const worlds: World[] = []

const mine: Permission<Note> = some<Note, User>(isAdmin, {
  scope: ({ session }) => ({ or: [{ owner: String(session.user?.id) }, { owner: 'public' }] }),
  fields: () => ['id', 'owner', 'text', 'code', 'count', 'big', 'price', 'at', 'extra'],
  allowsRecord: ({ session }, { owner }) => owner === session.user?.id,
})

export function openWorld(options: Partial<ApiOptions<never>> & { readonly rules?: readonly Permission<Note>[] } = {}) {
  const clock = fakeClock()
  const reports: string[] = []
  const notes = memoryStore<Note>({
    entity: 'Note',
    fields: {
      id: 'integer',
      owner: 'string',
      text: 'string',
      code: { type: 'string', nullable: true },
      count: { type: 'integer', nullable: true },
      big: { type: 'bigint', nullable: true },
      price: { type: 'decimal', nullable: true },
      at: { type: 'date', nullable: true },
      extra: { type: 'json', nullable: true },
      secret: 'string',
    },
    defaults: { secret: () => 'SECRET-NEW' },
    unique: [['code']],
    rows: (['ada', 'bob', 'public'] as const).map((owner, i) => ({
      id: i + 1,
      owner,
      text: `text of ${owner}`,
      code: `code of ${owner}`,
      count: i,
      big: String(i),
      price: `${i}.5`,
      at: null,
      extra: null,
      secret: `SECRET-${owner}`,
    })),
  })
  const { rules = [mine], ...rest } = options
  const api = createApi({
    resources: [
      defineResource('notes', {
        store: notes,
        permissions: rules,
        input: {
          create: ['owner', 'text', 'code', 'count', 'big', 'price', 'at', 'extra'],
          update: ['owner', 'text', 'code', 'count', 'big', 'price', 'at', 'extra'],
        },
      }),
      defineResource('vault', { store: notes, permissions: [isAdmin] }),
    ],
    changes: [notes],
    clock,
    authenticate({ token }) {
      if (token === undefined || token === null) return null
      if (!/^[a-z]+$/.test(token)) throw new RtapiError('unauthenticated', 'no such token')
      return { user: { id: token, role: token === 'root' ? 'admin' : 'member' }, id: `session of ${token}` }
    },
    report: (error, { during }) => reports.push(`${during}: ${String(error)}`),
    ...rest,
  })
  const world: World = { api, clock, notes, reports, as: (token) => connect(api, { token }) }
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
