import { type SeededRandom, seededRandom } from '@rtapi/testing'
import { expect, onTestFinished, test, vi } from 'vitest'
import {
  type Client,
  type ClientTransport,
  type LiveView,
  createClient,
  eventStreamTransport,
  longPollingTransport,
  webSocketTransport,
} from '../src/index.ts'
import { type Item, type ItemsApi, RealServers } from './support/real-servers.ts'
import { type ProxyMode, TcpProxy } from './support/tcp-proxy.ts'

/** `SEEDS=100` runs more of them. */
const SEEDS = Number(process.env['SEEDS'] ?? 3)
const ROUNDS = 6

vi.setConfig({ testTimeout: 120_000 })

/** A client whose WebSocket goes through a proxy that can be blocked; what it falls back to does not. */
class World {
  readonly random: SeededRandom
  readonly servers: RealServers
  readonly proxy: TcpProxy
  readonly client: Client<ItemsApi>
  /** Another client, which is never in trouble. */
  readonly other: Client<ItemsApi>
  readonly views: { readonly view: LiveView<Item>; readonly where: 'all' | 'own' }[] = []
  readonly outcomes = { done: 0, unknown: 0 }
  /** Texts of writes whose promise resolved. */
  readonly done: string[] = []
  /** Every status that a view had since it was last cleared. */
  statuses = new Set<string>()
  resets = 0
  readonly #over = new AbortController()
  #versions = 0

  constructor(seed: number, servers: RealServers, proxy: TcpProxy, lesser: () => ClientTransport) {
    this.random = seededRandom(seed)
    this.servers = servers
    this.proxy = proxy
    this.client = createClient<ItemsApi>({
      url: servers.url,
      transport: [webSocketTransport({ url: `ws://127.0.0.1:${proxy.port}/rt` }), lesser()],
      random: () => this.random.next(),
      limits: { backoffMinimum: 5, backoffMaximum: 50, fallbackTimeout: 250, upgradeMinimum: 20, upgradeMaximum: 60 },
    })
    this.other = createClient<ItemsApi>({ url: servers.url })
    this.client.onFrame((direction, messages) => {
      if (direction === 'in') this.resets += messages.filter(({ type }) => type === 'reset').length
    })
  }

  get transport(): string | undefined {
    const { status, transport } = this.client.connection.getSnapshot()
    return status === 'live' ? transport : undefined
  }

  /** No row is shown twice, and none goes back to what it was before. */
  open(): void {
    const view = this.client.items.live()
    const newest = new Map<number, number>()
    view.subscribe((rows, { status }) => {
      this.statuses.add(status)
      const keys = new Set(rows.map(({ id }) => id))
      if (keys.size !== rows.length) throw new Error('a row is shown twice')
      for (const { id, text } of rows) {
        const version = Number(text.split('#')[1])
        if (version < (newest.get(id) ?? 0)) throw new Error(`row ${id} went back to ${text}`)
        newest.set(id, version)
      }
    })
    this.views.push({ view, where: 'all' })
  }

  /** Writes until `stop`, over the client and beside it. */
  async write(writer: number): Promise<void> {
    for (let i = 0; !this.#over.signal.aborted; i++) {
      const text = `${writer}.${i}#${++this.#versions}`
      const watched = this.views[0]?.view
      const written = await this.client.items.create({ text }).catch((error: unknown) => {
        expect(error).toMatchObject({ code: 'outcome_unknown' })
        return undefined
      })
      if (written === undefined) this.outcomes.unknown++
      else {
        this.outcomes.done++
        this.done.push(`${writer}.${i}`)
        const isThere = this.servers.store.find().some(({ id }) => id === written.key)
        if (isThere && watched?.status === 'live' && !written.pending)
          expect(watched.get(written.key), `own write ${text} shows`).toBeDefined()
      }
      for (let turn = 0; turn < 4; turn++) await this.other.items.list({ limit: 1 })
      this.#writeBeside()
    }
  }

  #writeBeside(): void {
    const { store } = this.servers
    const rows = store.find()
    const row = rows.at(this.random.integer(Math.max(1, rows.length)))
    if (row === undefined) return
    if (rows.length > 40) store.delete(row.id)
    else store.update(row.id, { text: `${row.text.split('#')[0]}#${++this.#versions}` })
  }

  stop(): void {
    this.#over.abort()
  }

  async until(transport: string): Promise<void> {
    await expect.poll(() => this.transport, { timeout: 60_000, interval: 2 }).toBe(transport)
  }
}

const blocks: readonly ProxyMode[] = ['refuse', 'swallow', 'mute', 40, 200]

test.each(
  Array.from(
    { length: SEEDS },
    (_, seed) => [seed, seed % 2 === 0 ? longPollingTransport : eventStreamTransport] as const,
  ),
)(
  'seed %i: a WebSocket that is blocked and let through while writes run loses nothing and repeats nothing',
  async (seed, lesser) => {
    const servers = await RealServers.start({ http: { hold: 2_000 } })
    const proxy = await TcpProxy.start(servers.port)
    const world = new World(seed, servers, proxy, lesser)
    const { client, random } = world
    onTestFinished(async () => {
      client.close()
      world.other.close()
      await proxy.stop()
      await servers.stop()
    })
    world.open()
    await world.views[0]?.view.ready
    const failures: unknown[] = []
    const writers = [0, 1, 2].map((writer) => world.write(writer).catch((error: unknown) => failures.push(error)))
    for (let round = 0; round < ROUNDS; round++) {
      proxy.mode = random.pick(blocks)
      await world.until(lesser().name)
      if (random.chance(0.5)) world.open()
      // Lets a probe come this far and no further: each of its moments is one in which it may die.
      for (let i = random.integer(4); i > 0; i--) {
        const { attempts } = proxy
        proxy.mode = 150 + random.integer(2_500)
        await expect.poll(() => proxy.attempts, { timeout: 60_000, interval: 2 }).toBeGreaterThan(attempts)
      }
      proxy.mode = 'refuse'
      await world.until(lesser().name)
      await expect.poll(() => world.views.every(({ view }) => view.status === 'live'), { timeout: 60_000 }).toBe(true)
      world.statuses = new Set()
      const { resets } = world
      proxy.mode = 'open'
      await world.until('ws')
      await client.items.list()
      expect(world.resets).toBe(resets)
      expect([...world.statuses].filter((status) => status !== 'live')).toEqual([])
      if (random.chance(0.3)) world.views.splice(0, world.views.length - 1).forEach(({ view }) => view.close())
    }
    world.stop()
    await Promise.all(writers)
    expect(failures).toEqual([])
    const stored = servers.store.find()
    const sorted = (rows: readonly Item[]): readonly Item[] => rows.toSorted((a, b) => a.id - b.id)
    for (const { view } of world.views) {
      await expect.poll(() => sorted(view.rows), { timeout: 15_000 }).toEqual(sorted(stored))
      expect(view.status).toBe('live')
    }
    // No write has run twice, and none that was answered is missing.
    const ran = servers.received.filter((message) => message.type === 'request' && message.action === 'create')
    const texts = ran.map((message) => ('data' in message ? (message.data as { readonly text: string }).text : ''))
    expect(new Set(texts).size).toBe(texts.length)
    const names = new Set(texts.map((text) => text.split('#')[0]))
    expect(world.done.filter((name) => !names.has(name))).toEqual([])
    expect(world.outcomes.done).toBeGreaterThan(15)
    expect(servers.reported).toEqual([])
  },
)
