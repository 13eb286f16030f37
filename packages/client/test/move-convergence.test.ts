import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { type LiveView, type Row, createClient } from '../src/index.ts'
import { FakeClock } from './support/fake-clock.ts'
import { ModelLane, ModelServer } from './support/model-server.ts'
import { settle } from './support/scripted-client.ts'

const n = fc.nat(9)
const flag = fc.boolean()
const lane = fc.constantFrom<'ws' | 'polling'>('ws', 'polling')

/** What may happen next. */
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('write'), id: n, topicId: fc.nat(1), rank: fc.nat(3) }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('create'), topicId: fc.nat(1), rank: fc.nat(3) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('list') }) },
  { weight: 12, arbitrary: fc.record({ do: fc.constant('deliver'), lane, times: n }) },
  { weight: 12, arbitrary: fc.record({ do: fc.constant('serve'), lane, share: flag, parts: fc.nat(2) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('part'), lane }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('progress'), share: flag, parts: fc.nat(2) }) },
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant('flush'), lane, at: n, states: fc.nat({ max: 4 }), steps: flag }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('drop'), lane }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('block'), blocked: flag }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('wait'), time: fc.nat(4_000) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('reset'), lane, at: n, share: flag, parts: fc.nat(2) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('end'), lane, at: n }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('forget') }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('open'), topicId: fc.nat(1) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('close'), at: n }) },
)
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never

interface Watched {
  readonly topic: number
  readonly view: LiveView<Row>
  /** The newest state that it is known to show. */
  last: number
}

class Run {
  readonly server = new ModelServer()
  readonly lanes = { ws: new ModelLane(this.server, 'ws'), polling: new ModelLane(this.server, 'polling') }
  readonly clock = new FakeClock()
  readonly client = createClient({
    url: 'model:',
    transport: [this.lanes.ws, this.lanes.polling],
    clock: this.clock,
    random: () => 0.5,
    limits: { upgradeMinimum: 2_000, upgradeMaximum: 8_000 },
    report: (error) => {
      throw error
    },
  })
  readonly views: Watched[] = []
  readonly outcomes = { done: 0, unknown: 0, checked: 0 }
  readonly failures: unknown[] = []
  #lastId = 1_000

  /** Every live state a view shows is a state there was, and none is older than the one before. */
  open(topic: number): void {
    const view = this.client.resource('rows').live({ where: { topicId: topic } })
    const watched: Watched = { topic, view, last: 0 }
    view.subscribe((rows, { status }) => {
      if (status !== 'live') return
      const shown = JSON.stringify(rows)
      let at = watched.last
      while (at <= this.server.head && JSON.stringify(this.server.view(topic, at)) !== shown) at++
      expect(at, `topic ${topic} shows ${shown}, which it never was after state ${watched.last}`).toBeLessThanOrEqual(
        this.server.head,
      )
      watched.last = at
    })
    this.views.push(watched)
  }

  /** A write whose promise resolves is in every view that is live; it has run once, or, if its outcome is unknown, not twice. */
  create(topicId: number, rank: number): void {
    const id = ++this.#lastId
    const before = new Set(this.views)
    this.client
      .resource('rows')
      .create({ id, topicId, rank })
      .then(
        () => {
          this.outcomes.done++
          for (const { topic, view } of this.views) {
            if (topic !== topicId || view.status !== 'live' || ![...before].some((each) => each.view === view)) continue
            this.outcomes.checked++
            expect(view.get(id), `the view of topic ${topic} has what was written`).toBeDefined()
          }
        },
        (error: unknown) => {
          this.outcomes.unknown++
          expect(error).toMatchObject({ code: expect.stringMatching(/outcome_unknown|timeout|unavailable/) as string })
        },
      )
      .catch((error: unknown) => this.failures.push(error))
  }

  step(each: Step): void {
    const { server, lanes } = this
    const used = 'lane' in each ? lanes[each.lane] : lanes.ws
    const { link } = used
    switch (each.do) {
      case 'write':
        if ('id' in each) server.write(each.id, each)
        break
      case 'create':
        if ('rank' in each) this.create(each.topicId, each.rank)
        break
      case 'list':
        this.client
          .resource('rows')
          .list()
          .catch(() => undefined)
        break
      case 'deliver':
        if ('times' in each) for (let i = 0; i < each.times; i++) used.deliver()
        break
      case 'serve':
        if ('parts' in each) link?.serve(each)
        break
      case 'part':
        link?.sendPart()
        break
      case 'progress':
        if ('parts' in each) this.progress(each)
        break
      case 'flush':
        if ('states' in each) link?.flush(each.at, each.states + 1, each.steps ? 'steps' : 'difference')
        break
      case 'drop':
        link?.drop()
        break
      case 'block':
        if ('blocked' in each) lanes.ws.blocked = each.blocked
        break
      case 'wait':
        if ('time' in each) this.clock.advance(each.time)
        break
      case 'reset':
        if ('at' in each && 'parts' in each) link?.reset(each.at, { ...each, policy: false })
        break
      case 'end':
        if ('at' in each) link?.end(each.at)
        break
      case 'forget':
        server.forget()
        break
      case 'open':
        if ('topicId' in each && this.views.length < 6) this.open(each.topicId)
        break
      case 'close':
        if ('at' in each) this.views.splice(each.at % Math.max(1, this.views.length), 1)[0]?.view.close()
        break
      default:
    }
  }

  /** Lets everything under way arrive, on both ways; answers whether there was anything. */
  progress(how: { readonly share: boolean; readonly parts: number }): boolean {
    let busy = false
    for (const used of Object.values(this.lanes)) {
      while (used.deliver() || used.link?.serve(how) === true || used.link?.sendPart() === true) busy = true
    }
    return busy
  }

  /** No more faults, and time. */
  async finish(): Promise<void> {
    this.lanes.ws.blocked = false
    for (let quiet = 0; quiet < 800; quiet++) {
      const { status, fallback } = this.client.connection.getSnapshot()
      if (quiet > 60 && status === 'live' && fallback === undefined) break
      while (this.progress({ share: true, parts: 0 })) await settle()
      for (const { link } of Object.values(this.lanes)) link?.flushAll()
      if (!this.progress({ share: true, parts: 0 })) this.clock.advance(1_000)
      await settle()
    }
  }
}

test('whichever link dies at whichever moment of a move, views are always what was once, contain what was written, and end as the model is', async () => {
  const count = { moved: 0, back: 0, done: 0, checked: 0, unknown: 0 }
  await fc.assert(
    fc.asyncProperty(fc.array(step, { size: 'max', minLength: 60, maxLength: 200 }), async (steps) => {
      const run = new Run()
      run.lanes.ws.blocked = true
      let last: string | undefined
      run.client.connection.subscribe(({ transport, status }) => {
        if (status === 'live' && last === 'polling' && transport === 'ws') count.moved++
        if (status === 'live' && last === 'ws' && transport === 'polling') count.back++
        last = transport
      })
      run.open(0)
      run.progress({ share: true, parts: 0 })
      for (const each of steps) {
        run.step(each)
        await settle()
      }
      await run.finish()
      expect(run.failures).toEqual([])
      for (const { topic, view } of run.views) {
        expect(view.status).toBe('live')
        expect(view.rows).toEqual(run.server.view(topic, run.server.head))
      }
      expect(run.client.connection.getSnapshot()).toMatchObject({
        status: 'live',
        transport: 'ws',
        fallback: undefined,
      })
      // What was written over the client was written once.
      const written = run.server.states.map((state) => [...state.keys()].filter((id) => id > 1_000).length)
      expect(written.every((size, at) => at === 0 || size >= (written[at - 1] ?? 0))).toBe(true)
      run.client.close()
      expect(run.clock.timers).toBe(0)
      count.done += run.outcomes.done
      count.checked += run.outcomes.checked
      count.unknown += run.outcomes.unknown
    }),
    { numRuns: 300 },
  )
  // The runs were about something.
  expect(count.moved).toBeGreaterThan(200)
  expect(count.back).toBeGreaterThan(10)
  expect(count.done).toBeGreaterThan(1_000)
  expect(count.checked).toBeGreaterThan(1_000)
  expect(count.unknown).toBeGreaterThan(100)
}, 120_000)
