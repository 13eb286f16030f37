import { type SeededRandom, seededRandom } from '@rtapi/testing'
import { expect, onTestFinished, test } from 'vitest'
import { type HttpTransportOptions, createClient, eventStreamTransport, longPollingTransport } from '../src/index.ts'
import { type Item, type ItemsApi, RealServers, untilShown } from './support/real-servers.ts'

type Fetch = NonNullable<HttpTransportOptions['fetch']>

/**
 * A network between client and server that loses requests, loses answers, repeats requests, tears answers in the middle
 * and delivers streams in pieces.
 */
function lossyFetch(random: SeededRandom, count: Record<string, number>): Fetch {
  const tally = (what: string): void => void (count[what] = (count[what] ?? 0) + 1)
  return async (url, init) => {
    if (random.chance(0.05)) {
      tally('request lost')
      throw new TypeError('lost on the way there')
    }
    if (init.method === 'POST' && random.chance(0.1)) {
      tally('request repeated')
      // Nobody reads the answer to the first one, which still comes to the server.
      await fetch(url, { ...init, signal: AbortSignal.timeout(20) }).catch(() => undefined)
    }
    const response = await fetch(url, init)
    if (random.chance(0.1)) {
      tally('answer lost')
      await response.body?.cancel()
      throw new TypeError('lost on the way back')
    }
    if (response.body === null) return response
    const tearAt = random.chance(0.15) ? random.integer(400) : Number.POSITIVE_INFINITY
    return new Response(response.body.pipeThrough(inPieces(random, tearAt, tally)), response)
  }
}

function inPieces(random: SeededRandom, tearAt: number, tally: (what: string) => void) {
  let at = 0
  return new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      for (let from = 0; from < chunk.length;) {
        const size = 1 + random.integer(40)
        if (at + size > tearAt) {
          tally('answer torn')
          controller.error(new TypeError('torn'))
          return
        }
        controller.enqueue(chunk.slice(from, from + size))
        from += size
        at += size
      }
    },
  })
}

test.each([
  ['long-polling', longPollingTransport],
  ['event-stream', eventStreamTransport],
])(
  '%s over a network that loses, repeats and tears: nothing is lost, nothing runs twice',
  async (_, transport) => {
    const servers = await RealServers.start({ http: { hold: 500 } })
    const random = seededRandom(7)
    const count: Record<string, number> = {}
    const client = createClient<ItemsApi>({
      url: servers.url,
      transport: transport({ fetch: lossyFetch(random, count) }),
      limits: { backoffMinimum: 5, backoffMaximum: 20 },
    })
    onTestFinished(async () => {
      client.close()
      await servers.stop()
    })
    const shown: string[] = []
    const sent: unknown[] = []
    client.onFrame((direction, messages) => {
      for (const message of messages) {
        if (direction === 'in' && message.type === 'changes')
          for (const { action, data } of message.changes) if (action === 'create') shown.push((data as Item).text)
        if (direction === 'out' && message.type === 'request') sent.push(message.data)
      }
    })
    const view = client.items.live()
    await view.ready
    const outcomes: string[] = []
    const writers = Array.from({ length: 4 }, async (_, writer) => {
      for (let i = 0; i < 25; i++) {
        const text = `${writer}.${i}`
        await client.items.create({ text }).then(
          ({ key }) => {
            outcomes.push('done')
            expect(view.get(key)?.text).toBe(text)
          },
          () => outcomes.push('unknown'),
        )
      }
    })
    await Promise.all(writers)
    servers.store.create({ text: 'last' })
    await untilShown(view, (rows) => rows.at(-1)?.text === 'last')
    const stored = servers.store.find().map(({ text }) => text)
    // Each was sent once, and ran once at most; those that were answered did run.
    expect(new Set(stored).size).toBe(stored.length)
    expect(sent).toHaveLength(100)
    expect(stored.length - 1).toBeGreaterThanOrEqual(outcomes.filter((each) => each === 'done').length)
    expect(view.rows.map(({ text }) => text)).toEqual(stored)
    expect(new Set(shown).size).toBe(shown.length)
    // The network was as bad as it is said to be.
    const faults = ['request lost', 'request repeated', 'answer lost', 'answer torn'].map((what) => count[what] ?? 0)
    expect(Math.min(...faults), JSON.stringify(count)).toBeGreaterThan(0)
    expect(outcomes.filter((each) => each === 'done').length).toBeGreaterThan(60)
  },
  60_000,
)
