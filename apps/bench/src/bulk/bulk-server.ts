/** The server of a bulk change: a process of its own. */
import { createServer } from 'node:http'
import { setImmediate as turn } from 'node:timers/promises'
import { MikroORM, defineEntity, p } from '@mikro-orm/postgresql'
import { type ChangeSource, type Store, createApi, defineResource, groupBy } from '@rtapi/core'
import { rtapiMikroOrm } from '@rtapi/mikro-orm'
import { serveWebSocket } from '@rtapi/ws'
import { answerCalls } from '../bench-process.ts'
import { startProfile, writeProfile } from '../measure/cpu-profile.ts'
import { listen } from '../targets/serve-target.ts'
import { type BulkServerCommands, type BulkWay, ROWS, TOPICS } from './bulk-commands.ts'
import { type BulkRow, BulkStore } from './bulk-store.ts'
import { LoopWatch } from './loop-watch.ts'

const Item = defineEntity({
  name: 'Item',
  properties: { id: p.integer().primary(), topicId: p.integer().index(), round: p.integer(), text: p.string() },
})

/** Keys of one transaction that are announced one by one. */
const BATCH = 1_000

interface Source {
  readonly store: Store<BulkRow>
  readonly changes: ChangeSource
  change(way: BulkWay, round: number): Promise<void>
}

const rows = Array.from({ length: ROWS }, (_, i): BulkRow => {
  const id = i + 1
  return { id, topicId: id % TOPICS, round: 0, text: `item ${id} `.padEnd(100, 'x') }
})
const ids = rows.map(({ id }) => id)
const batches = Array.from({ length: Math.ceil(ROWS / BATCH) }, (_, i) => ids.slice(i * BATCH, (i + 1) * BATCH))

function inMemory(): Source {
  const store = new BulkStore(rows)
  return {
    store,
    changes: store,
    async change(way, round) {
      for (const batch of way === 'keys' ? batches : [ids]) {
        store.change(batch, round, way !== 'native')
        await turn()
      }
    },
  }
}

async function inDatabase(clientUrl: string): Promise<Source> {
  const orm = await MikroORM.init({ entities: [Item], clientUrl, dbName: 'bulk' })
  await orm.schema.refresh()
  await orm.em.fork().insertMany(Item, [...rows])
  const live = rtapiMikroOrm(orm)
  return {
    // Its rows have exactly these fields.
    store: live.store(Item) as unknown as Store<BulkRow>,
    changes: live.changes(),
    async change(way, round) {
      const em = orm.em.fork()
      if (way === 'native') await em.nativeUpdate(Item, {}, { round })
      else if (way === 'keys') for (const id of batches) await em.nativeUpdate(Item, { id: { $in: id } }, { round })
      else {
        for (const item of await em.find(Item, {})) item.round = round
        await em.flush()
      }
    },
  }
}

const watch = new LoopWatch()
let source: Source | undefined

function started(): Source {
  if (source === undefined) throw new Error('not started')
  return source
}

const commands: BulkServerCommands = {
  async start(database) {
    source = database === null ? inMemory() : await inDatabase(database)
    const items = defineResource('items', {
      store: source.store,
      groups: groupBy('topicId'),
      permissions: [{ scope: () => ({ id: { gte: 0 } }) }],
    })
    const api = createApi({ resources: [items], changes: [source.changes], limits: { loopLag: Infinity } })
    await api.ready
    const http = createServer()
    serveWebSocket(api, http)
    return { port: await listen(http), path: '/rt', protocol: 'rtapi.v1.json' }
  },
  watch: () => watch.start(),
  strain: () => watch.stop(),
  change: (way, round) => started().change(way, round),
  async readAll() {
    const order = [['id', 'asc', 'integer']] as const
    await started().store.find({ where: { type: 'const', value: true }, order, limit: ROWS + 1 })
  },
  startProfile,
  writeProfile,
}
answerCalls(commands)
