import type { ServerMessage } from '@rtapi/core'
import { EventSource } from 'eventsource'
import { expect, onTestFinished, test, vi } from 'vitest'
import { httpHandler, toNodeListener } from '../src/index.ts'
import { curl } from './support/curl.ts'
import { listen } from './support/listen.ts'
import { type Note, notesApi } from './support/notes-api.ts'
import { servedNotes } from './support/served-notes.ts'

// The machine may be slow, and busy with other things.
vi.setConfig({ testTimeout: 60_000 })

const note = (id: number, topicId: number): Note => ({ id, topicId, text: `note ${id}`, owner: 'ann' })

/** What a page gets to see. */
interface Watched {
  readonly source: EventSource
  /** The next message, which must be of this type. */
  next<T extends ServerMessage['type']>(type: T): Promise<Extract<ServerMessage, { readonly type: T }>>
  /** Of the last message. */
  readonly lastEventId: () => string
  /** The next error: its HTTP status, if it has one. */
  error(): Promise<number | undefined>
}

/** Opens a stock EventSource, with a token as other clients than browsers send it. */
function watch(url: string, subscriptions: readonly object[], token?: string): Watched {
  const query = subscriptions.map((one) => `subscribe=${encodeURIComponent(JSON.stringify(one))}`).join('&')
  const source = new EventSource(`${url}/stream?${query}`, {
    fetch: (input, init) =>
      fetch(input, {
        ...init,
        headers: { ...init.headers, ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) },
      }),
  })
  onTestFinished(() => source.close())
  const messages = queue<ServerMessage>()
  const errors = queue<number | undefined>()
  let lastId = ''
  source.addEventListener('message', ({ data, lastEventId }) => {
    lastId = lastEventId
    messages.put(JSON.parse(data as string) as ServerMessage)
  })
  source.addEventListener('error', ({ code }) => errors.put(code))
  return {
    source,
    async next(type) {
      const message = await messages.take()
      expect(message.type).toBe(type)
      return message as Extract<ServerMessage, { readonly type: typeof type }>
    },
    lastEventId: () => lastId,
    error: () => errors.take(),
  }
}

/** The session, which the id of each event names. */
function sessionOf({ lastEventId }: Watched): string {
  return lastEventId().split('.')[0] ?? ''
}

function queue<T>(): { put(value: T): void; take(): Promise<T> } {
  const values: T[] = []
  const takers: ((value: T) => void)[] = []
  return {
    put(value) {
      const taker = takers.shift()
      if (taker === undefined) values.push(value)
      else taker(value)
    },
    take: () => (values.length > 0 ? Promise.resolve(values.shift() as T) : new Promise((take) => takers.push(take))),
  }
}

test('a stock EventSource sees the snapshots and the changes of what stands in its query', async () => {
  const { url, store } = await servedNotes([note(1, 1), note(2, 2)])
  const page = watch(url, [
    { resource: 'notes', where: { topicId: 1 } },
    { resource: 'notes', key: 2, id: 'two' },
  ])
  expect(await page.next('welcome')).not.toHaveProperty('user')
  const snapshots = [await page.next('snapshot'), await page.next('snapshot')]
  expect(new Map(snapshots.map(({ id, rows }) => [id, rows.map(({ key }) => key)]))).toEqual(
    new Map([
      ['s1', [1]],
      ['two', [2]],
    ]),
  )
  store.create(note(3, 1))
  expect((await page.next('changes')).changes).toMatchObject([{ action: 'create', key: 3 }])
  store.update(2, { text: 'new' })
  expect((await page.next('changes')).changes).toMatchObject([{ action: 'update', key: 2, data: { text: 'new' } }])
})

test('torn off, it goes on where it was: what it missed comes, and no second snapshot', async () => {
  const { url, store, server, api } = await servedNotes([note(1, 1)])
  const page = watch(url, [{ resource: 'notes' }])
  await page.next('welcome')
  await page.next('snapshot')
  server.cut()
  expect(await page.error()).toBeUndefined()
  store.create(note(2, 1))
  expect((await page.next('changes')).changes).toMatchObject([{ action: 'create', key: 2 }])
  expect(api.stats().connections).toBe(1)
})

test('after a restart of the server it begins anew by itself', async () => {
  const { url, store, server, handler } = await servedNotes([note(1, 1)])
  const page = watch(url, [{ resource: 'notes' }])
  await page.next('welcome')
  await page.next('snapshot')
  await Promise.all([server.end(), handler.close({ timeout: 0 })])
  store.create(note(2, 1))
  const api = notesApi(store, { changes: [] })
  const restarted = httpHandler(api)
  const again = await listen(toNodeListener(restarted), server.port)
  onTestFinished(async () => {
    await Promise.all([restarted.close({ timeout: 0 }), api.close()])
    await again.end()
  })
  await page.next('welcome')
  expect((await page.next('snapshot')).rows.map(({ key }) => key)).toEqual([1, 2])
})

test('while the server is full it waits, and comes in when there is room', async () => {
  const { url } = await servedNotes([note(1, 1)], {}, { maxSessions: 1 })
  const first = watch(url, [{ resource: 'notes' }])
  await first.next('welcome')
  const second = watch(url, [{ resource: 'notes' }])
  expect(await second.error()).toBeUndefined()
  expect(second.source.readyState).toBe(EventSource.CONNECTING)
  expect(await curl(`${url}/close`, '--data', JSON.stringify({ session: sessionOf(first) }))).toMatchObject({
    status: 200,
  })
  first.source.close()
  await second.next('welcome')
})

test('a user may be known by a header, or not be known: then it gives up', async () => {
  const { url } = await servedNotes([note(1, 1)])
  expect(await watch(url, [{ resource: 'secrets' }], 'ann').next('welcome')).toMatchObject({ user: 'ann' })
  const refused = watch(url, [{ resource: 'secrets' }], 'nobody')
  expect(await refused.error()).toBe(401)
  expect(refused.source.readyState).toBe(EventSource.CLOSED)
})

test('a subscription that is refused is said to be, and the others stand', async () => {
  const { url } = await servedNotes([note(1, 1)])
  const page = watch(url, [{ resource: 'secrets' }, { resource: 'notes' }])
  await page.next('welcome')
  expect(await page.next('end')).toMatchObject({ id: 's1', error: { code: 'not_found' } })
  expect(await page.next('snapshot')).toMatchObject({ id: 's2' })
})
