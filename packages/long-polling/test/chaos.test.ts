import type { ChangeSource } from '@rtapi/core'
import { type TestView, connect, seededRandom } from '@rtapi/testing'
import { expect, test } from 'vitest'
import { httpHandler, toNodeListener } from '../src/index.ts'
import { ChaosProxy } from './support/chaos-proxy.ts'
import { listen } from './support/listen.ts'
import { type Note, notesApi, notesStore } from './support/notes-api.ts'
import { remoteApi } from './support/remote-api.ts'

/** `SEED=62` runs one seed again, `SEEDS=100` runs more of them. */
const FIRST = Number(process.env['SEED'] ?? 1)
const SEEDS = Number(process.env['SEEDS'] ?? (process.env['SEED'] === undefined ? 2 : 1))
const seeds = Array.from({ length: SEEDS }, (_, index) => FIRST + index)

const WRITES = 25
const USERS = ['ann', 'bob', 'cid']
const chaos = { loseRequest: 0.08, loseAnswer: 0.12, repeat: 0.12, delay: 0.2, replay: 0.2 }

/** Writes of one user, each answered once; answers what was created. */
async function write(client: Awaited<ReturnType<typeof connect>>, user: string, seed: number): Promise<string[]> {
  const random = seededRandom(seed)
  const texts: string[] = []
  const own: number[] = []
  for (let i = 0; i < WRITES; i++) {
    const id = USERS.indexOf(user) * 1_000 + i + 1
    const text = `${user} ${i}`
    const data = { id, topicId: random.integer(3), text, owner: user }
    expect(await client.request({ resource: 'notes', action: 'create', data })).toMatchObject({ ok: true, key: id })
    texts.push(text)
    own.push(id)
    if (own.length > 0 && random.chance(0.5)) {
      const key = random.pick(own)
      const patch = { topicId: random.integer(3) }
      expect(await client.request({ resource: 'notes', action: 'update', key, data: patch })).toMatchObject({
        ok: true,
      })
    }
    if (own.length > 0 && random.chance(0.2)) {
      const key = random.pick(own)
      own.splice(own.indexOf(key), 1)
      expect(await client.request({ resource: 'notes', action: 'delete', key })).toMatchObject({ ok: true })
    }
  }
  return texts
}

test.each(seeds.flatMap((seed) => [[seed, 'poll'] as const, [seed, 'stream'] as const]))(
  'with seed %i, by %s, nothing is lost, nothing runs twice, and every view equals the server',
  async (seed, by) => {
    const store = notesStore()
    const created: unknown[] = []
    const counting: ChangeSource = {
      stop: () => store.stop(),
      start: (emit) =>
        store.start((batch) => {
          for (const change of batch.changes)
            if (change.type === 'change' && change.action === 'create') created.push(change.after?.['text'])
          emit(batch)
        }),
    }
    const api = notesApi(store, { changes: [counting], limits: { rate: 1e9, burst: 1e9 } })
    const handler = httpHandler(api, { acceptRate: Infinity })
    const server = await listen(toNodeListener(handler))
    const proxy = await ChaosProxy.open(server.port, seededRandom(seed), chaos)
    const remote = remoteApi(api, `${proxy.origin}/rt`, { by })
    try {
      const clients = await Promise.all(USERS.map((token) => connect(remote, { token, timeout: 200_000 })))
      const views: [TestView, (note: Note) => boolean][] = []
      for (const client of clients) {
        views.push([await client.subscribe({ resource: 'notes' }), () => true])
        views.push([await client.subscribe({ resource: 'notes', where: { topicId: 1 } }), (note) => note.topicId === 1])
      }
      const written = await Promise.all(clients.map((client, i) => write(client, USERS[i] ?? '', seed + i)))
      proxy.calm()
      for (const [view, wanted] of views) {
        const expected = store.find().filter(wanted)
        await view.until((rows) => JSON.stringify(rows) === JSON.stringify(expected))
        expect(view.resets, 'resets').toEqual([])
      }
      expect(new Set(created), 'what ran').toEqual(new Set(written.flat()))
      expect(created.length, 'how often').toBe(USERS.length * WRITES)
      for (const [what, count] of Object.entries(proxy.injected)) expect(count, what).toBeGreaterThan(3)
      expect([remote.clients.length, api.stats().connections], 'sessions').toEqual([USERS.length, USERS.length])
    } finally {
      await proxy.end()
      await Promise.all([handler.close({ timeout: 0 }), api.close()])
      await server.end()
    }
  },
  300_000,
)
