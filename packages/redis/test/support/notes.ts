import {
  type Api,
  type ChannelLayer,
  type MemoryStore,
  type ReportContext,
  allowAny,
  createApi,
  defineResource,
  memoryStore,
} from '@rtapi/core'
import { type TestClient, type TestView, connect } from '@rtapi/testing'
import { expect } from 'vitest'
import { watchRejections } from './unhandled-rejections.ts'
import { type RedisConnection, type RedisLayer, type RedisLayerOptions, redisLayer } from '../../src/index.ts'

type Note = { readonly id: number; readonly text: string }

/** One process over the notes: its layer, its API, and a client that shows them all. */
interface NotesProcess {
  readonly layer: RedisLayer
  readonly api: Api
  readonly client: TestClient
  readonly view: TestView
  /** What went wrong where nobody waited for it. */
  readonly reports: readonly string[]
}

/** Two processes over one database: `writer` writes, and `reader` hears of it through Redis alone. */
export interface Notes {
  /** Of all keys. */
  readonly prefix: string
  readonly store: MemoryStore<Note>
  readonly writer: NotesProcess
  readonly reader: NotesProcess
  /** Waits until the views of both equal a fresh query, and those of new clients do too. */
  converge(): Promise<void>
  /** Writes something that both views must show. */
  write(text: string): Promise<void>
  /** Ends both; no rejection may have gone unhandled since they began. */
  close(): Promise<void>
}

export interface NotesOptions extends RedisLayerOptions {
  /** The reader's way to Redis, if it is another one. */
  readonly readerConnection?: RedisConnection
  readonly readerOptions?: RedisLayerOptions
  /** Puts something between a layer and its process. */
  readonly wrap?: (layer: RedisLayer) => ChannelLayer
}

/**
 * Times for tests: what is looked at every few seconds in real life is looked at all the time. Calls have longer than in
 * real life, so that a busy machine is not taken for a fault.
 */
const quick: RedisLayerOptions = { timeout: 10_000, checkInterval: 150, probeInterval: 200 }

export async function startNotes(connection: RedisConnection, options: NotesOptions = {}): Promise<Notes> {
  const { readerConnection = connection, readerOptions, wrap = (layer) => layer, ...layerOptions } = options
  const rejections = watchRejections()
  const store = memoryStore<Note>({ entity: 'notes', fields: { id: 'integer', text: 'string' } })
  const notes = defineResource('notes', {
    store,
    input: { create: ['text'], update: ['text'] },
    permissions: [allowAny],
  })
  const prefix = `notes:${crypto.randomUUID()}`

  async function start(to: RedisConnection, isWriter: boolean): Promise<NotesProcess> {
    const reports: string[] = []
    const report = (error: unknown, { during }: ReportContext): void => void reports.push(`${during}: ${String(error)}`)
    const own = isWriter ? layerOptions : { ...layerOptions, ...readerOptions }
    const layer = redisLayer(to, { prefix, ...quick, report, ...own })
    const limits = { layerTimeout: own.timeout ?? 10_000, ownWriteTimeout: 500 }
    const api = createApi({
      resources: [notes],
      changes: isWriter ? [store] : [],
      layer: wrap(layer),
      limits,
      report,
    })
    const client = await connect(api, { timeout: 60_000 })
    return { layer, api, client, view: await client.subscribe({ resource: 'notes' }), reports }
  }

  const writer = await start(connection, true)
  const reader = await start(readerConnection, false)
  return {
    prefix,
    store,
    writer,
    reader,
    async converge() {
      for (const { view, api } of [writer, reader]) {
        await view.until((rows) => JSON.stringify(rows) === JSON.stringify(store.find()))
        const fresh = await connect(api, { timeout: 60_000 })
        expect((await fresh.subscribe({ resource: 'notes' })).rows).toEqual(store.find())
        expect(view.rows).toEqual(store.find())
        await fresh.close()
      }
    },
    async write(text) {
      store.create({ text })
      for (const { view } of [writer, reader]) await view.until((rows) => rows.some((row) => row['text'] === text))
    },
    async close() {
      await Promise.all([writer.api.close(), reader.api.close()])
      expect(await rejections.stop(), 'rejections that nobody handled').toEqual([])
    },
  }
}
