import {
  type Api,
  type Permission,
  type Report,
  createApi,
  defineResource,
  groupBy,
  memoryStore,
  wholeResource,
} from '@rtapi/core'
import { redisLayer } from '@rtapi/redis'
import type { SharedServices } from '../commands.ts'
import { type Workload, makeItem } from '../workload.ts'
import { FileStore } from './file-store.ts'
import { type ItemRow, itemFields } from './item-row.ts'

/** An API of items, and the way in which the application itself changes them. */
export interface ItemApi {
  readonly api: Api
  change(keys: readonly number[], at: number): void
}

const signedIn: Permission<ItemRow> = { allows: ({ session }) => session.user !== null }

/** The API as an application would set it up: a store, sessions, permissions, validated input. */
export async function serveItems(workload: Workload, shared: SharedServices | null): Promise<ItemApi> {
  const { records, following } = workload
  const store =
    shared === null
      ? memoryStore<ItemRow>({
          entity: 'item',
          fields: itemFields,
          rows: Array.from({ length: records }, (_, i) => makeItem(i + 1)),
        })
      : new FileStore(shared.folder, records)
  const items = defineResource('items', {
    store,
    input: { update: ['text', 'revision'] },
    groups: following.type === 'records' ? groupBy('id') : wholeResource(),
    permissions: [signedIn, { scope: () => ({ price: { gte: 0 } }) }],
  })
  const api = createApi({
    resources: [items],
    changes: [store],
    authenticate: ({ token }) => (token === 'bench' ? { user: { id: 'bench' } } : null),
    // Clients that send as fast as they can are what some rows are about, and a process that is busy.
    limits: { rate: 1e9, burst: 1e9, connectionsPerUser: 1e9, loopLag: Infinity },
    report: firstOfEachKind(),
    ...(shared === null ? {} : { layer: redisLayer(shared.redis) }),
  })
  await api.ready
  return {
    api,
    change(keys, at) {
      for (const key of keys) {
        const [row] = store.read([key])
        if (row !== undefined) store.update(key, { revision: row.revision + 1, at })
      }
    },
  }
}

/** What goes wrong goes wrong for thousands at once: one of them says it. */
function firstOfEachKind(): Report {
  const known = new Set<string>()
  return (error, { during }) => {
    if (known.has(during)) return
    known.add(during)
    console.error(`rtapi: ${during}`, error)
  }
}
