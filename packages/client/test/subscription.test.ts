import { describe, expect, test } from 'vitest'
import { RtapiError } from '../src/index.ts'
import { liveClient, wireRow } from './support/scripted-client.ts'
import { changes, ids, shownView, snapshot } from './support/shown-view.ts'

describe('what is sent', () => {
  test('the query as the wire has it, with nothing that was not asked for', () => {
    const { client, transport } = liveClient()
    client.comments.live({
      where: { topicId: 7 },
      order: { topicId: 'asc', id: 'desc' },
      limit: 5,
      fields: ['id'],
      params: { topicId: 7 },
    })
    expect(transport.link.takeSubscribe()).toEqual({
      type: 'subscribe',
      id: expect.any(String) as string,
      resource: 'comments',
      where: { topicId: 7 },
      order: [
        ['topicId', 'asc'],
        ['id', 'desc'],
      ],
      limit: 5,
      fields: ['id'],
      params: { topicId: 7 },
    })
    client.comments.live({ key: 5, order: [['id', 'desc']] })
    expect(transport.link.takeSubscribe()).toEqual({
      type: 'subscribe',
      id: expect.any(String) as string,
      resource: 'comments',
      key: 5,
      order: [['id', 'desc']],
    })
  })
})

describe('a snapshot', () => {
  test('is shown when all its parts are there, and not before', async () => {
    const { client, transport } = liveClient()
    const view = client.comments.live()
    const seen: number[][] = []
    view.subscribe((rows) => seen.push(ids(rows)))
    const { id } = transport.link.takeSubscribe()
    transport.link.say(snapshot(id, [wireRow(2)], { done: false, position: undefined }))
    expect([view.status, view.rows]).toEqual(['loading', []])
    transport.link.say(snapshot(id, [wireRow(1)], { part: 1, order: undefined }))
    expect([view.status, ids(view.rows)]).toEqual(['live', [1, 2]])
    expect(seen).toEqual([[1, 2]])
    await view.ready
  })

  test('a part out of its turn begins the subscription anew', () => {
    const { client, transport } = liveClient()
    const view = client.comments.live()
    const { id } = transport.link.takeSubscribe()
    transport.link.say(snapshot(id, [wireRow(1)], { part: 1 }))
    const messages = transport.link.take()
    expect(messages).toEqual([
      { type: 'unsubscribe', id },
      { type: 'subscribe', id: expect.any(String) as string, resource: 'comments' },
    ])
    expect(view.status).toBe('loading')
  })
})

describe('changes', () => {
  test('those of one message are shown as a whole, and those of one frame in one call', () => {
    const { transport, view } = shownView()
    const seen: number[][] = []
    view.subscribe((rows) => seen.push(ids(rows)))
    transport.link.say(
      changes('p1', 'p2', { action: 'create', ...wireRow(3) }, { action: 'delete', key: 1 }),
      changes('p2', 'p3', { action: 'enter', ...wireRow(4) }, { action: 'leave', key: 2 }),
    )
    expect(seen).toEqual([
      [1, 2],
      [3, 4],
    ])
  })

  test('concern every view of the feed, and no other', () => {
    const { client, transport, view } = shownView()
    const same = client.comments.live()
    const sameId = transport.link.takeSubscribe().id
    transport.link.say(snapshot(sameId, [wireRow(1), wireRow(2)]))
    const other = client.comments.live({ where: { topicId: 8 } })
    const otherId = transport.link.takeSubscribe().id
    transport.link.say(snapshot(otherId, [], { feed: 'f2' }))
    transport.link.say(changes('p1', 'p2', { action: 'update', ...wireRow(1, 'new') }))
    expect(view.get(1)?.text).toBe('new')
    expect(same.get(1)?.text).toBe('new')
    expect(other.rows).toEqual([])
  })

  test('are shown by all views of a frame before anybody hears of them', () => {
    const { client, transport, view } = shownView()
    const second = client.comments.live()
    transport.link.say(snapshot(transport.link.takeSubscribe().id, [wireRow(1), wireRow(2)]))
    const seen: number[] = []
    view.subscribe(() => seen.push(second.rows.length))
    transport.link.say(changes('p1', 'p2', { action: 'delete', key: 1 }))
    expect(seen).toEqual([2, 1])
  })

  test('with a hole before them make the view resume from where it is, and the old rows stay', () => {
    const { transport, view, id } = shownView()
    transport.link.say(changes('p5', 'p6', { action: 'delete', key: 1 }))
    expect([view.status, ids(view.rows)]).toEqual(['stale', [1, 2]])
    const [leave, again] = transport.link.take()
    expect(leave).toEqual({ type: 'unsubscribe', id })
    expect(again).toMatchObject({ type: 'subscribe', since: 'p1', have: [1, 2] })
    const newId = again !== undefined && 'id' in again ? again.id : undefined
    expect(newId).not.toBe(id)
    transport.link.say(
      { type: 'end', id },
      snapshot(String(newId), [wireRow(2, 'new')], { position: 'p6' }),
      changes('p6', 'p6', { action: 'delete', key: 1 }),
    )
    expect([view.status, view.rows]).toEqual(['live', [wireRow(2, 'new').data]])
  })

  test('that end where the view is change nothing that it has', () => {
    const { transport, view } = shownView()
    transport.link.say(changes('p1', 'p2', { action: 'create', ...wireRow(3) }))
    const before = view.rows
    transport.link.say(changes('p0', 'p2', { action: 'create', ...wireRow(3) }))
    expect(view.rows).toBe(before)
    expect(transport.link.take()).toEqual([])
  })

  test('a gap at each try is tried again ever more slowly', () => {
    const { transport, clock } = shownView()
    const waits: (number | undefined)[] = []
    const heartbeat = clock.timers
    for (let i = 0; i < 5; i++) {
      transport.link.say(changes('lost', `p${i}`))
      waits.push(clock.timers > heartbeat ? clock.next : 0)
      if (clock.timers > heartbeat) clock.advance(clock.next ?? 0)
      const subscribe = transport.link.takeSubscribe()
      transport.link.say(snapshot(subscribe.id, [], { position: 'p9' }))
    }
    expect(waits).toEqual([0, 1_000, 1_500, 2_500, 4_500])
    // After a while in peace a gap is a first one again.
    clock.advance(5_000)
    transport.link.say(changes('lost', 'p7'))
    expect(transport.link.takeSubscribe().since).toBe('p9')
  })
})

describe('changes that come while another view of the feed loads', () => {
  function loadingBesideShown() {
    const shown = shownView()
    const late = shown.client.comments.live()
    const lateId = shown.transport.link.takeSubscribe().id
    return { ...shown, late, lateId }
  }

  test('those after the position of its snapshot are taken when it is whole', () => {
    const { transport, late, lateId, view } = loadingBesideShown()
    transport.link.say(changes('p1', 'p2', { action: 'create', ...wireRow(3) }))
    transport.link.say(snapshot(lateId, [wireRow(1), wireRow(2)], { done: false, position: undefined }))
    transport.link.say(changes('p2', 'p3', { action: 'create', ...wireRow(4) }))
    transport.link.say(snapshot(lateId, [wireRow(3)], { part: 1, position: 'p2' }))
    expect(ids(late.rows)).toEqual([1, 2, 3, 4])
    transport.link.say(changes('p3', 'p4', { action: 'delete', key: 1 }))
    expect(ids(late.rows)).toEqual([2, 3, 4])
    expect(ids(view.rows)).toEqual([2, 3, 4])
    expect(transport.link.take()).toEqual([])
  })

  test('none is needed when the snapshot is as new as they are', () => {
    const { transport, late, lateId } = loadingBesideShown()
    transport.link.say(changes('p1', 'p2', { action: 'create', ...wireRow(3) }))
    transport.link.say(snapshot(lateId, [wireRow(1), wireRow(2), wireRow(3)], { position: 'p2' }))
    expect(ids(late.rows)).toEqual([1, 2, 3])
    expect(transport.link.take()).toEqual([])
  })

  test('if they do not fit the snapshot, the view resumes', () => {
    const { transport, late, lateId } = loadingBesideShown()
    transport.link.say(changes('p1', 'p2', { action: 'create', ...wireRow(3) }))
    transport.link.say(snapshot(lateId, [wireRow(1)], { position: 'p0' }))
    expect(late.status).toBe('stale')
    expect(transport.link.takeSubscribe()).toMatchObject({ since: 'p0', have: [1] })
  })
})

describe('a reset', () => {
  test('leaves the old rows until the new snapshot is whole, then swaps', () => {
    const { transport, view, id } = shownView()
    const [first] = view.rows
    transport.link.say({ type: 'reset', id, reason: 'gap' })
    expect([view.status, ids(view.rows)]).toEqual(['stale', [1, 2]])
    transport.link.say(changes('p1', 'p2', { action: 'delete', key: 1 }))
    transport.link.say(snapshot(id, [wireRow(1)], { done: false, feed: 'f2' }))
    expect([view.status, ids(view.rows)]).toEqual(['stale', [1, 2]])
    transport.link.say(snapshot(id, [wireRow(3)], { part: 1, feed: 'f2', position: 'q1' }))
    expect([view.status, ids(view.rows)]).toEqual(['live', [1, 3]])
    expect(view.rows[0]).toBe(first)
    transport.link.say({ ...changes('q1', 'q2', { action: 'delete', key: 3 }), feed: 'f2' })
    expect(ids(view.rows)).toEqual([1])
  })

  test('for the policy drops them at once', () => {
    const { transport, view, id } = shownView()
    const seen: number[][] = []
    view.subscribe((rows) => seen.push(ids(rows)))
    transport.link.say({ type: 'reset', id, reason: 'policy', after: 100 })
    expect([view.status, view.rows, view.get(1)]).toEqual(['loading', [], undefined])
    expect(seen).toEqual([[1, 2], []])
  })

  test('between the parts of a snapshot drops the parts', () => {
    const { client, transport } = liveClient()
    const view = client.comments.live()
    const { id } = transport.link.takeSubscribe()
    transport.link.say(snapshot(id, [wireRow(1), wireRow(2)], { done: false }))
    transport.link.say({ type: 'reset', id, reason: 'overflow' })
    transport.link.say(snapshot(id, [wireRow(3)], { feed: 'f9' }))
    expect(ids(view.rows)).toEqual([3])
  })

  test('in answer to a resume makes the snapshot that follows a whole one', () => {
    const { transport, view, clock } = shownView()
    transport.link.drop()
    clock.advance(2_000)
    transport.link.open().welcome()
    const { id, since } = transport.link.takeSubscribe()
    expect(since).toBe('p1')
    transport.link.say({ type: 'reset', id, reason: 'gap' }, snapshot(id, [wireRow(2)], { position: 'p8' }))
    expect([view.status, ids(view.rows)]).toEqual(['live', [2]])
  })

  test('a link lost before its snapshot is whole makes the next subscription a fresh one', () => {
    const { transport, view, clock, id } = shownView()
    transport.link.say({ type: 'reset', id, reason: 'gap' }, snapshot(id, [wireRow(3)], { done: false }))
    transport.link.drop()
    expect([view.status, ids(view.rows)]).toEqual(['stale', [1, 2]])
    clock.advance(2_000)
    transport.link.open().welcome()
    const again = transport.link.takeSubscribe()
    expect([again.since, again.have]).toEqual([undefined, undefined])
    transport.link.say(snapshot(again.id, [wireRow(4)]))
    expect(ids(view.rows)).toEqual([4])
  })
})

test('a snapshot that nobody asked for replaces the view when it is whole', () => {
  const { transport, view, id } = shownView()
  transport.link.say(snapshot(id, [wireRow(3)], { done: false, feed: 'f2', position: undefined }))
  expect([view.status, ids(view.rows)]).toEqual(['stale', [1, 2]])
  transport.link.say(snapshot(id, [wireRow(4)], { part: 1, feed: 'f2', position: 'q1' }))
  expect([view.status, ids(view.rows)]).toEqual(['live', [3, 4]])
})

test('a message that is not what the protocol says ends the link; the view resumes from where it was', () => {
  const { client, transport, view, clock } = shownView()
  transport.link.say({ type: 'changes', feed: 'f1', from: 'p1', to: 'p2' })
  expect([client.connection.status, view.status]).toEqual(['reconnecting', 'stale'])
  clock.advance(2_000)
  transport.link.open().welcome()
  expect(transport.link.takeSubscribe().since).toBe('p1')
})

describe('an end', () => {
  test('with an error ends the view', () => {
    const { transport, view, id } = shownView()
    transport.link.say({ type: 'end', id, error: { code: 'bad_request', message: 'no such field', retryable: false } })
    expect([view.status, ids(view.rows)]).toEqual(['ended', [1, 2]])
    expect(view.error).toMatchObject({ code: 'bad_request', message: 'no such field' })
    transport.link.say(snapshot(id, []), changes('p1', 'p2', { action: 'delete', key: 1 }))
    expect(ids(view.rows)).toEqual([1, 2])
  })

  test.each(['forbidden', 'unauthenticated'])('with %s drops the rows', (code) => {
    const { transport, view, id } = shownView()
    transport.link.say({ type: 'end', id, error: { code, message: 'no', retryable: false } })
    expect([view.status, view.rows]).toEqual(['ended', []])
  })

  test('of a view that never was whole rejects its ready', async () => {
    const { client, transport } = liveClient()
    const view = client.comments.live()
    const { id } = transport.link.takeSubscribe()
    transport.link.say({ type: 'end', id, error: { code: 'forbidden', message: 'no', retryable: false } })
    await expect(view.ready).rejects.toThrow(RtapiError)
  })

  test('that says again is tried again, after as long as the server asks for and as the back-off says', () => {
    const { transport, view, id, clock } = shownView()
    const error = { code: 'rate_limited', message: 'slow', retryable: true, retryAfter: 3_000 }
    transport.link.say({ type: 'end', id, error, again: true })
    expect([view.status, view.error?.message]).toEqual(['stale', 'slow'])
    clock.advance(2_999)
    expect(transport.link.take()).toEqual([])
    clock.advance(1)
    const again = transport.link.takeSubscribe()
    expect(again).toMatchObject({ since: 'p1', have: [1, 2] })
    transport.link.say(snapshot(again.id, []))
    expect([view.status, view.error]).toEqual(['live', undefined])
  })
})

test('unknown messages, fields and changes are ignored', () => {
  const { transport, view } = shownView()
  transport.link.say(
    { type: 'weather', feed: 'f1' },
    { type: 'snapshot', id: 'nobody', feed: 'f1', rows: [], part: 0, done: true },
    { type: 'reset', id: 'nobody', reason: 'gap' },
    { type: 'end', id: 'nobody' },
    {
      ...changes('p1', 'p2', { action: 'twist', key: 1 }, { action: 'update', ...wireRow(1, 'new'), glow: true }),
      colour: 3,
    },
  )
  expect([view.status, view.get(1)?.text]).toEqual(['live', 'new'])
})
