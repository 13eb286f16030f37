import type { Api, ApiOptions, MemoryStore } from '@rtapi/core'
import { onTestFinished } from 'vitest'
import { type HttpHandler, type HttpOptions, httpHandler, toNodeListener } from '../../src/index.ts'
import { type Listening, listen } from './listen.ts'
import { type Note, notesApi, notesStore } from './notes-api.ts'

export interface ServedNotes {
  readonly store: MemoryStore<Note>
  readonly api: Api
  readonly handler: HttpHandler
  readonly server: Listening
  readonly url: string
}

/** Notes on a port of their own, until the test ends. */
export async function servedNotes(
  rows: readonly Note[] = [],
  options: Partial<ApiOptions<readonly never[]>> = {},
  http: HttpOptions = {},
): Promise<ServedNotes> {
  const store = notesStore(rows)
  const api = notesApi(store, options)
  const handler = httpHandler(api, http)
  const server = await listen(toNodeListener(handler))
  onTestFinished(async () => {
    await Promise.all([handler.close({ timeout: 0 }), api.close()])
    await server.end()
  })
  return { store, api, handler, server, url: `${server.origin}/rt` }
}
