import { randomUUID } from 'node:crypto'
import { type ChangeSource, type ChannelLayer, allowAny, createApi, defineResource, groupBy } from '@rtapi/core'
import { type TestClient, type TestView, connect } from '@rtapi/testing'
import { onTestFinished } from 'vitest'
import type { TestDatabase } from './database.ts'
import { NoteStore } from './note-store.ts'

/** An API over the notes of a database, and a client that shows them. */
export interface WatchingApi {
  readonly store: NoteStore
  readonly client: TestClient
  /** All notes. */
  readonly view: TestView
  /** What went wrong where nobody waited for it. */
  readonly reports: readonly string[]
  /** Waits until the view is equal to the table. */
  readonly converge: () => Promise<void>
}

/** Opens one for a test, at whose end it is closed. */
export async function watchNotes(
  database: TestDatabase,
  {
    changes = () => [],
    layer,
  }: { readonly changes?: (store: NoteStore) => readonly ChangeSource[]; readonly layer?: ChannelLayer },
): Promise<WatchingApi> {
  const store = new NoteStore(database.pool)
  const notes = defineResource('notes', {
    store,
    input: { create: ['id', 'topicId', 'text'], update: ['topicId', 'text'] },
    groups: groupBy('topicId'),
    permissions: [allowAny],
  })
  const reports: string[] = []
  const api = createApi({
    resources: [notes],
    changes: changes(store),
    ...(layer === undefined ? {} : { layer }),
    report: (error, { during }) => void reports.push(`${during}: ${String(error)}`),
  })
  onTestFinished(async () => api.close())
  await api.ready
  const client = await connect(api, { timeout: 60_000 })
  const view = await client.subscribe({ resource: 'notes' })
  return {
    store,
    client,
    view,
    reports,
    async converge() {
      const rows = await database.rows('select id, topic_id as "topicId", text from notes order by id')
      const wanted = JSON.stringify(rows)
      await view.until((shown) => JSON.stringify(shown) === wanted)
    },
  }
}

/** A prefix for the keys of a layer that no other test has. */
export function freshPrefix(): string {
  return `pg:${randomUUID()}`
}
