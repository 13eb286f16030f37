/** rtapi as an application would set it up: a store in memory, sessions, permissions, validated input. */
import { createServer } from 'node:http'
import {
  type MemoryStore,
  type Permission,
  createApi,
  defineResource,
  groupBy,
  memoryStore,
  wholeResource,
} from '@rtapi/core'
import { serveWebSocket } from '@rtapi/ws'
import { type Item, makeItem } from '../workload.ts'
import { listen, serveTarget } from './serve-target.ts'

type ItemRow = { readonly [K in keyof Item]: Item[K] }

let store: MemoryStore<ItemRow> | undefined

const signedIn: Permission<ItemRow> = { allows: ({ session }) => session.user !== null }

serveTarget({
  async start({ records, following }) {
    const known = memoryStore<ItemRow>({
      entity: 'item',
      fields: {
        id: 'integer',
        topic: 'integer',
        price: 'integer',
        title: 'string',
        author: 'string',
        text: 'string',
        revision: 'integer',
        at: 'integer',
      },
      rows: Array.from({ length: records }, (_, i) => makeItem(i + 1)),
    })
    store = known
    const items = defineResource('items', {
      store: known,
      input: { update: ['text', 'revision'] },
      groups: following.type === 'records' ? groupBy('id') : wholeResource(),
      permissions: [signedIn, { scope: () => ({ price: { gte: 0 } }) }],
    })
    const api = createApi({
      resources: [items],
      changes: [known],
      authenticate: ({ token }) => (token === 'bench' ? { user: { id: 'bench' } } : null),
      // Clients that send as fast as they can are what some rows are about.
      limits: { rate: 1e9, burst: 1e9 },
    })
    const http = createServer()
    serveWebSocket(api, http, { acceptRate: Infinity })
    await api.ready
    return { port: await listen(http), path: '/rt', protocol: 'rtapi.v1.json' }
  },
  change(keys, at) {
    for (const key of keys) {
      const [row] = store?.read([key]) ?? []
      if (row !== undefined) store?.update(key, { revision: row.revision + 1, at })
    }
  },
})
