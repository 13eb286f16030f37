import {
  type Api,
  type ApiOptions,
  type MemoryStore,
  RtapiError,
  createApi,
  defineResource,
  groupBy,
  memoryStore,
  owns,
} from '@rtapi/core'

export type Note = { id: number; topicId: number; text: string; owner: string }

/** The topic whose notes nobody sees. */
export const HIDDEN = 9

/** Tokens are the names of users. */
const USERS: readonly string[] = ['ann', 'bob', 'cid']

/** Notes in memory. */
export function notesStore(rows: readonly Note[] = []): MemoryStore<Note> {
  return memoryStore<Note>({
    entity: 'Note',
    fields: { id: 'integer', topicId: 'integer', text: 'string', owner: 'string' },
    unique: [['text']],
    rows,
  })
}

/** The token of a client, from the header or a cookie. */
function tokenOf({
  token,
  headers,
}: {
  readonly token?: string | null
  readonly headers: Readonly<Record<string, string | undefined>>
}): string | null {
  return token === undefined ? (/\buser=(\w+)/.exec(headers['cookie'] ?? '')?.[1] ?? null) : token
}

/**
 * An API with notes, which everybody reads but for those of the hidden topic, and their owners write. A user proves by a token
 * which is their name; a cookie `user` will do, too.
 */
export function notesApi(store: MemoryStore<Note>, options: Partial<ApiOptions<readonly never[]>> = {}): Api {
  return createApi({
    resources: [
      defineResource('notes', {
        store,
        groups: groupBy('topicId'),
        input: { create: ['id', 'topicId', 'text', 'owner'], update: ['text', 'topicId'] },
        permissions: [{ scope: () => ({ topicId: { ne: HIDDEN } }) }, owns<Note>('owner')],
      }),
      defineResource('secrets', { store, permissions: [{ allows: ({ session }) => session.user !== null }] }),
    ],
    changes: [store],
    authenticate(handshake) {
      const token = tokenOf(handshake)
      if (token === null) return null
      if (!USERS.includes(token)) throw new RtapiError('unauthenticated', 'nobody has this token')
      return { user: { id: token } }
    },
    ...options,
  })
}
