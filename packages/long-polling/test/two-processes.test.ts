import { type Api, type MemoryStore, memoryBus } from '@rtapi/core'
import { connect } from '@rtapi/testing'
import { expect, onTestFinished, test, vi } from 'vitest'
import { httpHandler, toNodeListener } from '../src/index.ts'
import { curl } from './support/curl.ts'
import { type Listening, listen } from './support/listen.ts'
import { type Note, notesApi, notesStore } from './support/notes-api.ts'
import { remoteApi } from './support/remote-api.ts'

// The machine may be slow, and busy with other things.
vi.setConfig({ testTimeout: 60_000 })

const note = (id: number): Note => ({ id, topicId: 1, text: `note ${id}`, owner: 'ann' })

interface Process {
  readonly api: Api
  readonly url: string
  readonly server: Listening
}

/** Two processes over one store and one channel layer. */
async function cluster(): Promise<{ readonly store: MemoryStore<Note>; readonly processes: [Process, Process] }> {
  const store = notesStore([note(1), note(2), note(5)])
  const bus = memoryBus()
  const start = async (changes: readonly MemoryStore<Note>[]): Promise<Process> => {
    const api = notesApi(store, { layer: bus.layer(), changes })
    const handler = httpHandler(api)
    const server = await listen(toNodeListener(handler))
    onTestFinished(async () => {
      await Promise.all([handler.close({ timeout: 0 }), api.close()])
      await server.end()
    })
    return { api, server, url: `${server.origin}/rt` }
  }
  return { store, processes: [await start([store]), await start([])] }
}

test.each(['poll', 'stream'] as const)(
  'by %s: a session is unknown to another process, where its client opens a new one and resumes by position',
  async (by) => {
    const { store, processes } = await cluster()
    const [one, two] = processes
    const remote = remoteApi(one.api, one.url, { by })
    const before = await connect(remote, { token: 'ann', timeout: 30_000 })
    const view = await before.subscribe({ resource: 'notes' })
    const session = (await remote.clients[0])?.session ?? ''

    const headers = ['--header', 'Authorization: Bearer ann']
    const elsewhere = await curl(`${two.url}/poll`, ...headers, '--data', JSON.stringify({ session, cursor: 0 }))
    expect([elsewhere.status, elsewhere.json]).toMatchObject([404, { error: { code: 'not_found' } }])

    // The process dies: nobody says goodbye.
    await one.server.end()
    store.create(note(3))
    store.update(1, { text: 'new' })
    store.delete(2)

    const after = await connect(remoteApi(two.api, two.url, { by }), { token: 'ann', timeout: 30_000 })
    const resumed = await after.resubscribe(view)
    await resumed.until((rows) => rows.length === 3 && rows[1]?.['id'] === 3)
    expect(resumed.rows).toMatchObject([{ id: 1, text: 'new' }, { id: 3 }, { id: 5 }])
    expect(resumed.resets, 'no reset').toEqual([])
    const told = resumed.log.flatMap((message) => (message.type === 'snapshot' ? message.rows : []))
    expect(new Set(told.map(({ key }) => key)), 'only what was missed').toEqual(new Set([1, 3]))
    store.create(note(4))
    await resumed.until((rows) => rows.length === 4)
  },
)

test('actions without a session run on any process, and reach the views of all', async () => {
  const { processes } = await cluster()
  const [one, two] = processes
  const client = await connect(remoteApi(two.api, two.url), { token: 'bob', timeout: 30_000 })
  const view = await client.subscribe({ resource: 'notes' })
  const data = ['--header', 'Authorization: Bearer ann', '--data', JSON.stringify({ data: note(7) })]
  expect((await curl(`${one.url}/notes/create`, ...data)).status).toBe(200)
  await view.until((rows) => rows.length === 4)
  expect((await curl(`${two.url}/notes/get/7`)).status).toBe(200)
})
