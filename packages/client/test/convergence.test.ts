import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { type LiveView, type Row, createClient } from '../src/index.ts'
import { FakeClock } from './support/fake-clock.ts'
import { ModelServer } from './support/model-server.ts'

const n = fc.nat(9)
const flag = fc.boolean()

/** What may happen next. */
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant('write'), id: n, topicId: fc.nat(1), rank: fc.nat(3), gone: fc.nat(3) }),
  },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('deliver'), times: n }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('serve'), share: flag, parts: fc.nat(3) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('part') }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('progress'), share: flag, parts: fc.nat(3) }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('flush'), at: n, states: fc.nat({ max: 4 }), steps: flag }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('drop') }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('wait'), time: fc.nat(40_000) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('lose'), at: n }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('reset'), at: n, share: flag, parts: fc.nat(3), policy: flag }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('end'), at: n }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('forget') }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('open'), topicId: fc.nat(1) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('close'), at: n }) },
)
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never

class Run {
  readonly server = new ModelServer()
  readonly clock = new FakeClock()
  readonly client = createClient({
    url: 'model:',
    transport: this.server,
    clock: this.clock,
    random: () => 0.5,
    report: (error) => {
      throw error
    },
  })
  readonly views: { readonly topic: number; readonly view: LiveView<Row> }[] = []

  /** Every live state a view shows is a state there was, and none is older than the one before. */
  open(topic: number): void {
    const view = this.client.resource('rows').live({ where: { topicId: topic } })
    let last = 0
    view.subscribe((rows, { status }) => {
      if (status !== 'live') return
      const shown = JSON.stringify(rows)
      let at = last
      while (at <= this.server.head && JSON.stringify(this.server.view(topic, at)) !== shown) at++
      expect(at, `topic ${topic} shows ${shown}, which it never was after state ${last}`).toBeLessThanOrEqual(
        this.server.head,
      )
      last = at
    })
    this.views.push({ topic, view })
  }

  step(step: Step): void {
    const { server } = this
    const { link } = server
    switch (step.do) {
      case 'write':
        if ('rank' in step) server.write(step.id, step.gone === 0 ? undefined : step)
        break
      case 'deliver':
        if ('times' in step) for (let i = 0; i < step.times; i++) link?.deliver()
        break
      case 'serve':
        if ('parts' in step) link?.serve(step)
        break
      case 'progress':
        if ('parts' in step) this.progress(step)
        break
      case 'part':
        link?.sendPart()
        break
      case 'flush':
        if ('states' in step) link?.flush(step.at, step.states + 1, step.steps ? 'steps' : 'difference')
        break
      case 'drop':
        link?.drop()
        break
      case 'wait':
        if ('time' in step) this.clock.advance(step.time)
        break
      case 'lose':
        if ('at' in step) link?.lose(step.at)
        break
      case 'reset':
        if ('policy' in step) link?.reset(step.at, step)
        break
      case 'end':
        if ('at' in step) link?.end(step.at)
        break
      case 'forget':
        server.forget()
        break
      case 'open':
        if ('topicId' in step && this.views.length < 6) this.open(step.topicId)
        break
      case 'close':
        if ('at' in step) this.views.splice(step.at % Math.max(1, this.views.length), 1)[0]?.view.close()
        break
      default:
    }
  }

  /** Lets everything under way arrive; answers whether there was anything. */
  progress(how: { readonly share: boolean; readonly parts: number }): boolean {
    const { link } = this.server
    let busy = false
    while (link?.deliver() === true || link?.serve(how) === true || link?.sendPart() === true) busy = true
    return busy
  }

  /** No more faults, one more change where one was lost, and time. */
  finish(): void {
    for (const topicId of this.server.gaps) this.server.write(100 + topicId, { topicId, rank: 0 })
    for (let quiet = 0; quiet < 60; quiet++) {
      while (this.progress({ share: true, parts: 0 })) this.server.link?.flushAll()
      this.server.link?.flushAll()
      if (!this.progress({ share: true, parts: 0 })) this.clock.advance(1_000)
    }
  }
}

test('however changes are split, merged, lost and cut off, every view ends as the model is, and is always what it once was', () => {
  const count = { resumes: 0, resets: 0, gaps: 0, changes: 0 }
  fc.assert(
    fc.property(fc.array(step, { size: 'max', minLength: 50, maxLength: 200 }), (steps) => {
      const run = new Run()
      run.client.onFrame((direction, messages) => {
        const types = messages.map(({ type }) => type)
        for (const message of messages) {
          if (message.type === 'subscribe' && message.since !== undefined) count.resumes++
          if (message.type === 'reset') count.resets++
          if (message.type === 'changes') count.changes++
        }
        if (direction === 'out' && types[0] === 'unsubscribe' && types.length === 1) count.gaps++
      })
      run.open(0)
      for (const each of steps) run.step(each)
      run.finish()
      for (const { topic, view } of run.views) {
        expect(view.status).toBe('live')
        expect(view.rows).toEqual(run.server.view(topic, run.server.head))
      }
      expect(run.client.connection.getSnapshot().recovery?.waiting ?? 0).toBe(0)
      run.client.close()
      expect(run.clock.timers).toBe(0)
    }),
    { numRuns: 500 },
  )
  // The runs were about something.
  expect(count.resumes).toBeGreaterThan(300)
  expect(count.resets).toBeGreaterThan(100)
  expect(count.gaps).toBeGreaterThan(100)
  expect(count.changes).toBeGreaterThan(1_000)
})
