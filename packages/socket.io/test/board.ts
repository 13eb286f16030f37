import {
  type Api,
  type ApiOptions,
  type MemoryStore,
  type Resource,
  RtapiError,
  type TransportSocket,
  allowAny,
  createApi,
  defineResource,
  memoryStore,
} from '@rtapi/core'
import { onTestFinished } from 'vitest'
import { type Listening, type ListenOptions, listen } from './server.ts'

type Note = { id: number; text: string }

export interface Board {
  /** A whole API over notes; `token` names who is signed in, and `wrong` nobody. */
  readonly api: Api
  readonly store: MemoryStore<Note>
  /** What the transport has handed over, in the order of coming. */
  readonly sockets: readonly TransportSocket[]
}

export function board(options: Omit<Partial<ApiOptions<readonly Resource[]>>, 'resources'> = {}): Board {
  const store = memoryStore<Note>({ entity: 'Note', fields: { id: 'integer', text: 'string' } })
  const notes = defineResource('notes', {
    store,
    input: { create: ['id', 'text'], update: ['text'] },
    permissions: [allowAny],
  })
  const api = createApi({
    resources: [notes],
    changes: [store],
    authenticate: ({ token }) => {
      if (token === 'wrong') throw new RtapiError('unauthenticated', 'the token is not valid')
      return typeof token === 'string' ? { user: { id: token } } : null
    },
    ...options,
  })
  const sockets: TransportSocket[] = []
  onTestFinished(() => api.close())
  const accept: Api['accept'] = (socket, handshake, codec) => {
    sockets.push(socket)
    return api.accept(socket, handshake, codec)
  }
  return { api: { ...api, accept }, store, sockets }
}

/** Serves a board on a port of its own, until the test ends. */
export async function serveBoard(
  options: Omit<ListenOptions, 'api'> & { readonly api?: Parameters<typeof board>[0] } = {},
): Promise<Board & Listening & { readonly url: string }> {
  const served = board(options.api)
  const listening = await listen({ ...options, api: served.api })
  onTestFinished(async () => {
    listening.stop()
    await listening.io.close()
  })
  return { ...served, ...listening, url: `http://127.0.0.1:${listening.port}` }
}
