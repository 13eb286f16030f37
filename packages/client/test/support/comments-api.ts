import {
  type Api,
  type MemoryStore,
  RtapiError,
  type Session,
  type StandardSchema,
  createApi,
  defineResource,
  forActions,
  groupBy,
  isAuthenticated,
  memoryStore,
} from '@rtapi/core'
import { type FakeClock, fakeClock } from '@rtapi/testing'
import { type Client, type ClientOptions, createClient } from '../../src/index.ts'
import { ApiTransport } from './api-transport.ts'

// A type alias: an interface has no index signature, which rows need.
export type Note = { id: number; topicId: number; rank: number; text: string; owner: string | null; secret: string }

const threshold: StandardSchema<{ readonly rank: number }> = {
  '~standard': {
    version: 1,
    vendor: 'test',
    validate: (value) => ({ value: value as { readonly rank: number } }),
  },
}

function noteStore(): MemoryStore<Note> {
  return memoryStore<Note>({
    entity: 'Note',
    fields: {
      id: 'integer',
      topicId: 'integer',
      rank: 'integer',
      text: 'string',
      owner: { type: 'string', nullable: true },
      secret: 'string',
    },
    defaults: { rank: 0, owner: null, secret: 'hush' },
  })
}

/** The resource of the tests: everybody sees notes without an owner, and their own. */
function noteResource(store: MemoryStore<Note>) {
  return defineResource('notes', {
    store,
    fields: ['id', 'topicId', 'rank', 'text', 'owner'],
    input: { create: ['topicId', 'rank', 'text', 'owner'], update: ['topicId', 'rank', 'text', 'owner'] },
    groups: groupBy('topicId'),
    lookups: { ids: { field: 'id', operator: 'in' } },
    params: ['topicId'],
    permissions: [
      forActions(['create', 'update', 'delete'], isAuthenticated),
      {
        scope: ({ session }) =>
          session.user === null ? { owner: null } : { or: [{ owner: null }, { owner: String(session.user.id) }] },
      },
    ],
    ownActions: {
      above: {
        input: threshold,
        run: (_, { data }): number => store.find().filter(({ rank }) => rank > (data as { rank: number }).rank).length,
      },
      shout: { record: true, run: (_, { row }): string => row?.text.toUpperCase() ?? '' },
    },
  })
}

type NotesApi = Api<readonly [ReturnType<typeof noteResource>]>

export interface NotesWorld {
  readonly api: NotesApi
  readonly store: MemoryStore<Note>
  readonly clock: FakeClock
  /** Tokens that are not, or no longer, accepted. */
  readonly revoked: Set<string>
  /** Makes a client with a network of its own. */
  readonly client: (options?: Partial<ClientOptions>) => NotesClient
  /** Ends everything; answers what is left of the clients and the API. */
  readonly close: () => Promise<{
    readonly timers: number
    readonly connections: number
    readonly subscriptions: number
    readonly feeds: number
  }>
}

interface NotesClient {
  readonly client: Client<NotesApi>
  readonly transport: ApiTransport
}

/** An API over a store in memory, and its clients; time stands still unless `clock.advance` moves it. */
export function notesWorld(): NotesWorld {
  const clock = fakeClock()
  const store = noteStore()
  const revoked = new Set<string>()
  const api = createApi({
    resources: [noteResource(store)],
    changes: [store],
    clock,
    authenticate: ({ token }) => session(token, revoked),
    limits: { rate: 10_000, burst: 10_000 },
    report: (error) => {
      throw error
    },
  })
  const clients: Client<NotesApi>[] = []
  return {
    api,
    store,
    clock,
    revoked,
    client(options) {
      const transport = new ApiTransport(api)
      const client = createClient<NotesApi>({ url: 'memory:', transport, clock, random: () => 0.5, ...options })
      clients.push(client)
      return { client, transport }
    },
    async close() {
      for (const client of clients) client.close()
      await clock.settle()
      await clock.advance(60_000)
      const { connections, subscriptions, feeds } = api.stats()
      await api.close()
      return { timers: clock.timers, connections, subscriptions, feeds }
    },
  }
}

/** Tokens are `user` or `user/expiry`. */
function session(token: string | null | undefined, revoked: ReadonlySet<string>): Session | null {
  if (token === null || token === undefined) return null
  if (revoked.has(token)) throw new RtapiError('unauthenticated', 'unknown token')
  const [id = '', expiresAt] = token.split('/')
  return { user: { id }, ...(expiresAt === undefined ? {} : { expiresAt: Number(expiresAt) }) }
}
