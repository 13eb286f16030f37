import { describe, expect, test } from 'vitest'
import { OutcomeUnknownError } from '../src/index.ts'
import { settle, wireRow } from './support/scripted-client.ts'
import type { ScriptedLink } from './support/scripted-transport.ts'
import { changes, ids, snapshot } from './support/shown-view.ts'
import { carrying, fallenBack, resumed } from './support/two-transports.ts'

function types(link: ScriptedLink): string[] {
  return link.take().map(({ type }) => type)
}

/** What became of a promise. */
function outcome(promise: Promise<unknown>): { value: unknown } {
  const seen: { value: unknown } = { value: 'open' }
  promise.then(
    (value) => (seen.value = value),
    (error: unknown) => (seen.value = error),
  )
  return seen
}

describe('when the better transport is welcomed', () => {
  test('views go on there from their positions, live all the while, and the old link is closed', async () => {
    const { client, clock, ws, polling, view, statuses, connectionStatuses } = fallenBack()
    const [one] = view.rows
    clock.advance(10_000)
    ws.link.open().welcome({ user: 'ann' })
    const subscribe = ws.link.takeSubscribe()
    expect(subscribe).toMatchObject({ since: 'p1', have: [1, 2] })
    expect(client.connection.getSnapshot()).toMatchObject({ status: 'live', transport: 'ws', fallback: undefined })
    expect(polling.link.closedByClient).toBeUndefined()
    // What the old link still says would be shown twice, or out of turn.
    polling.link.say(changes('p1', 'p2', { action: 'create', key: 3, data: wireRow(3, 'old').data }))
    expect(ids(view.rows)).toEqual([1, 2])
    ws.link.say(
      snapshot(subscribe.id, [wireRow(3)], { position: 'p2' }),
      changes('p2', 'p2', { action: 'delete', key: 2 }),
    )
    expect(ids(view.rows)).toEqual([1, 3])
    expect(view.rows[0]).toBe(one)
    expect(polling.link.closedByClient).toEqual({ code: 1000, reason: 'moved' })
    ws.link.say(changes('p2', 'p3', { action: 'delete', key: 1 }))
    expect(ids(view.rows)).toEqual([3])
    await settle()
    expect(statuses).toEqual(['live'])
    expect(new Set(connectionStatuses)).toEqual(new Set(['live']))
    expect(client.connection.getSnapshot().recovery).toBeUndefined()
  })

  test('without views it is done at once', () => {
    const { view, polling, ws, clock } = fallenBack()
    view.close()
    clock.advance(10_000)
    ws.link.open().welcome({ user: 'ann' })
    expect(polling.link.closedByClient).toBeDefined()
    expect(clock.timers).toBe(1)
  })

  test('a write that was sent is answered on the old link, which the views follow until then', async () => {
    const { client, clock, ws, polling, view } = fallenBack()
    const written = client.comments.create({ topicId: 7, text: 'a' })
    const { id } = polling.link.takeRequest()
    clock.advance(10_000)
    ws.link.open().welcome({ user: 'ann' })
    expect(types(ws.link)).toEqual(['hello'])
    // Those that follow keep their order.
    const second = outcome(client.comments.create({ topicId: 7, text: 'b' }))
    const list = outcome(client.comments.list())
    const { id: listId } = polling.link.takeRequest()
    polling.link.say(changes('p1', 'p2', { action: 'create', key: 3, data: wireRow(3).data }), {
      type: 'reply',
      id,
      ok: true,
      key: 3,
      data: wireRow(3).data,
    })
    expect((await written).key).toBe(3)
    expect(ids(view.rows)).toEqual([1, 2, 3])
    const subscribe = ws.link.takeSubscribe()
    expect(subscribe).toMatchObject({ since: 'p2', have: [1, 2, 3] })
    // The second write waits until the views can show it.
    ws.link.say(...resumed(subscribe.id, 4, 'p3'))
    const request = ws.link.takeRequest()
    expect(request.data).toEqual({ topicId: 7, text: 'b' })
    // The read that went to the old link is answered there, and not asked again.
    expect(polling.link.closedByClient).toBeUndefined()
    polling.link.say({ type: 'reply', id: listId, ok: true, rows: [] })
    await settle()
    expect(list.value).toEqual({ rows: [], next: undefined })
    expect(polling.link.closedByClient).toEqual({ code: 1000, reason: 'moved' })
    ws.link.say({ type: 'reply', id: request.id, ok: true, key: 4, data: wireRow(4).data })
    await settle()
    expect(second.value).toMatchObject({ key: 4 })
  })

  test('an old link that stays for a read has no say in what the views show, though its feeds have the same names', () => {
    const { client, clock, ws, polling, view } = fallenBack()
    outcome(client.comments.list())
    clock.advance(10_000)
    ws.link.open().welcome({ user: 'ann' })
    ws.link.say(...resumed(ws.link.takeSubscribe().id))
    expect(polling.link.closedByClient).toBeUndefined()
    polling.link.say(changes('p2', 'p3', { action: 'delete', key: 1 }))
    expect(ids(view.rows)).toEqual([1, 2, 3])
  })

  test('a write that takes too long keeps everything where it is', async () => {
    const { client, clock, ws, polling, view } = fallenBack()
    const first = outcome(client.comments.create({ topicId: 7, text: 'a' }))
    const { id } = polling.link.takeRequest()
    clock.advance(10_000)
    ws.link.open().welcome({ user: 'ann' })
    const second = outcome(client.comments.create({ topicId: 7, text: 'b' }))
    clock.advance(10_000)
    expect(ws.link.closedByClient).toBeDefined()
    const request = polling.link.takeRequest()
    for (const each of [id, request.id]) polling.link.say({ type: 'reply', id: each, ok: true, key: 3 })
    await settle()
    expect([first.value, second.value]).toMatchObject([{ key: 3 }, { key: 3 }])
    expect(client.connection.getSnapshot().transport).toBe('long-polling')
    polling.link.say(changes('p1', 'p2', { action: 'delete', key: 1 }))
    expect(ids(view.rows)).toEqual([2])
    clock.advance(20_000)
    ws.link.open().welcome({ user: 'ann' })
    expect(client.connection.getSnapshot().transport).toBe('ws')
  })

  test('a write whose time is up lets the move begin', async () => {
    const { client, clock, ws, polling } = fallenBack()
    const first = outcome(client.comments.update(1, { text: 'a' }, { timeout: 12_000 }))
    clock.advance(10_000)
    ws.link.open().welcome({ user: 'ann' })
    expect(types(ws.link)).toEqual(['hello'])
    clock.advance(2_000)
    expect(types(ws.link)).toEqual(['subscribe'])
    await settle()
    expect(first.value).toBeInstanceOf(OutcomeUnknownError)
    expect(polling.link.closedByClient).toBeUndefined()
  })

  test('a view that is opened meanwhile begins on the new link; one that is closed is not waited for', () => {
    const { client, ws, polling, view, newId } = carrying()
    const second = client.comments.live({ where: { topicId: 8 } })
    const { id } = ws.link.takeSubscribe()
    expect([second.status, types(polling.link)]).toEqual(['loading', []])
    view.close()
    expect(ws.link.take()).toEqual([{ type: 'unsubscribe', id: newId }])
    expect(polling.link.closedByClient).toBeDefined()
    ws.link.say(snapshot(id, []))
    expect(second.status).toBe('live')
  })

  test('a view that is opened while writes are waited for begins on the old link, and moves along', () => {
    const { client, clock, ws, polling } = fallenBack()
    outcome(client.comments.create({ topicId: 7, text: 'a' }))
    const { id } = polling.link.takeRequest()
    clock.advance(10_000)
    ws.link.open().welcome({ user: 'ann' })
    const second = client.comments.live({ where: { topicId: 8 } })
    polling.link.say(snapshot(polling.link.takeSubscribe().id, [wireRow(5)], { feed: 'f2', position: 'q1' }))
    polling.link.say({ type: 'reply', id, ok: false, error: { code: 'invalid', message: 'no', retryable: false } })
    const begun = ws.link.take().filter(({ type }) => type === 'subscribe')
    expect(begun).toMatchObject([{ since: 'p1' }, { since: 'q1', have: [5] }])
    expect(second.status).toBe('live')
  })

  test('a view that is not whole yet begins anew', () => {
    const { client, clock, ws, polling } = fallenBack()
    const loading = client.comments.live({ where: { topicId: 8 } })
    const { id } = polling.link.takeSubscribe()
    polling.link.say(snapshot(id, [wireRow(5)], { done: false }))
    clock.advance(10_000)
    ws.link.open().welcome({ user: 'ann' })
    const again = ws.link.take().filter(({ type }) => type === 'subscribe')[1]
    expect(again).not.toHaveProperty('since')
    polling.link.say(snapshot(id, [wireRow(6)], { part: 1 }))
    expect(loading.status).toBe('loading')
    if (again?.type === 'subscribe') ws.link.say(snapshot(again.id, [wireRow(7)]))
    expect(ids(loading.rows)).toEqual([7])
  })

  test('a view that the new server cannot resume says so', () => {
    const { ws, polling, view, newId } = carrying()
    ws.link.say({ type: 'reset', id: newId, reason: 'gap' })
    expect([view.status, ids(view.rows)]).toEqual(['stale', [1, 2]])
    expect(polling.link.closedByClient).toBeDefined()
    ws.link.say(snapshot(newId, [wireRow(9)]))
    expect([view.status, ids(view.rows)]).toEqual(['live', [9]])
  })

  test('a view that may no longer be shown is dropped at once', () => {
    const { ws, view, newId } = carrying()
    ws.link.say({ type: 'reset', id: newId, reason: 'policy' })
    expect([view.status, view.rows]).toEqual(['loading', []])
  })

  test('a view that is refused for the moment stays shown, and is asked for again', () => {
    const { ws, view, newId, clock, statuses } = carrying()
    const error = { code: 'rate_limited', message: 'slow', retryable: true, retryAfter: 500 }
    ws.link.say({ type: 'end', id: newId, error, again: true })
    expect(view.error).toBeUndefined()
    clock.advance(1_000)
    ws.link.say(...resumed(ws.link.takeSubscribe().id))
    expect(statuses).toEqual(['live'])
    expect(ids(view.rows)).toEqual([1, 2, 3])
  })

  test('a new link that does not make the views whole in time: they are stale, and writes go on', () => {
    const { client, ws, polling, view, clock } = carrying()
    outcome(client.comments.create({ topicId: 7, text: 'a' }))
    expect(types(ws.link)).toEqual([])
    clock.advance(9_999)
    expect(view.status).toBe('live')
    clock.advance(1)
    expect(view.status).toBe('stale')
    expect(types(ws.link)).toEqual(['request'])
    expect(polling.link.closedByClient).toBeDefined()
  })
})

describe('when a link dies meanwhile', () => {
  test('the old one, while its writes are waited for: their outcome is unknown, reads and views go on at once', async () => {
    const { client, clock, ws, polling, view, statuses } = fallenBack()
    const written = outcome(client.comments.create({ topicId: 7, text: 'a' }))
    outcome(client.comments.list())
    clock.advance(10_000)
    ws.link.open().welcome({ user: 'ann' })
    ws.link.take()
    outcome(client.comments.create({ topicId: 7, text: 'b' }))
    polling.link.drop()
    const [subscribe, ...more] = ws.link.take()
    expect(subscribe).toMatchObject({ type: 'subscribe', since: 'p1' })
    expect(more).toMatchObject([{ action: 'list' }])
    if (subscribe?.type === 'subscribe') ws.link.say(...resumed(subscribe.id))
    expect(ws.link.takeRequest()).toMatchObject({ action: 'create', data: { text: 'b' } })
    await settle()
    expect(written.value).toBeInstanceOf(OutcomeUnknownError)
    expect(ids(view.rows)).toEqual([1, 2, 3])
    expect([statuses, client.connection.status]).toEqual([['live'], 'live'])
  })

  test('the old one, while views are carried: what it was asked is asked again', () => {
    const { client, clock, ws, polling, view } = fallenBack()
    outcome(client.comments.list())
    clock.advance(10_000)
    ws.link.open().welcome({ user: 'ann' })
    const { id } = ws.link.takeSubscribe()
    polling.link.drop()
    expect(ws.link.takeRequest().action).toBe('list')
    ws.link.say(...resumed(id))
    expect(ids(view.rows)).toEqual([1, 2, 3])
    expect(client.connection.getSnapshot()).toMatchObject({ status: 'live', transport: 'ws' })
  })

  test('the new one, before anything was moved: nothing was lost', () => {
    const { client, clock, ws, polling, view } = fallenBack()
    outcome(client.comments.create({ topicId: 7, text: 'a' }))
    clock.advance(10_000)
    ws.link.open().welcome({ user: 'ann' })
    ws.link.drop()
    polling.link.take()
    outcome(client.comments.create({ topicId: 7, text: 'b' }))
    expect(polling.link.takeRequest().data).toEqual({ topicId: 7, text: 'b' })
    polling.link.say(changes('p1', 'p2', { action: 'delete', key: 1 }))
    expect(ids(view.rows)).toEqual([2])
    clock.advance(20_000)
    expect(ws.links).toHaveLength(3)
  })

  test('the new one, while views are carried: they go back, live all the while', () => {
    const { client, ws, polling, view, statuses, id, clock } = carrying()
    ws.link.drop()
    const [unsubscribe, subscribe] = polling.link.take()
    expect(unsubscribe).toEqual({ type: 'unsubscribe', id })
    expect(subscribe).toMatchObject({ type: 'subscribe', since: 'p1', have: [1, 2] })
    expect(client.connection.getSnapshot()).toMatchObject({
      status: 'live',
      transport: 'long-polling',
      fallback: { from: 'ws' },
    })
    // Of the subscription from before: it is no longer listened to.
    polling.link.say(changes('p1', 'p2', { action: 'create', key: 4, data: wireRow(4).data }))
    expect(ids(view.rows)).toEqual([1, 2])
    if (subscribe?.type === 'subscribe') polling.link.say(...resumed(subscribe.id))
    expect(ids(view.rows)).toEqual([1, 2, 3])
    polling.link.say(changes('p2', 'p3', { action: 'delete', key: 1 }))
    expect(ids(view.rows)).toEqual([2, 3])
    expect(statuses).toEqual(['live'])
    clock.advance(20_000)
    expect(ws.links).toHaveLength(3)
  })

  test('the new one, when the old one still has a read to answer: writes on the new one are unknown, reads go back', async () => {
    const { client, clock, ws, polling, view } = fallenBack()
    const list = outcome(client.comments.list())
    const { id: listId } = polling.link.takeRequest()
    clock.advance(10_000)
    ws.link.open().welcome({ user: 'ann' })
    ws.link.say(...resumed(ws.link.takeSubscribe().id))
    const written = outcome(client.comments.create({ topicId: 7, text: 'a' }))
    outcome(client.comments.get(1))
    expect(types(ws.link)).toEqual(['request', 'request'])
    ws.link.drop()
    const sent = polling.link.take()
    expect(sent).toMatchObject([
      { type: 'unsubscribe' },
      { type: 'subscribe', since: 'p2', have: [1, 2, 3] },
      { type: 'request', action: 'get' },
    ])
    polling.link.say({ type: 'reply', id: listId, ok: true, rows: [] })
    await settle()
    expect([list.value, written.value]).toEqual([{ rows: [], next: undefined }, expect.any(OutcomeUnknownError)])
    expect(view.status).toBe('live')
  })

  test('both: views are stale, and resume as after any lost link', () => {
    const { client, ws, polling, view, clock } = carrying()
    ws.link.drop()
    polling.link.take()
    polling.link.drop()
    expect([view.status, client.connection.status]).toEqual(['stale', 'reconnecting'])
    clock.advance(1_000)
    polling.link.open()
    expect(polling.link.takeSubscribe()).toMatchObject({ since: 'p1' })
  })

  test.each([4401, 4440])('the new one, because of who this is (%i): the old one is closed too', (code) => {
    const { client, ws, polling, view } = carrying()
    ws.link.goodbye(code)
    expect([client.connection.status, view.status, view.rows]).toEqual(['closed', 'ended', []])
    expect(polling.link.closedByClient).toBeDefined()
  })

  test('the old one, because somebody else is signed in: the new one, of before, is closed too', () => {
    const { client, clock, ws, polling, view } = fallenBack()
    outcome(client.comments.create({ topicId: 7, text: 'a' }))
    clock.advance(10_000)
    ws.link.open().welcome({ user: 'ann' })
    polling.link.goodbye(4451)
    expect(ws.link.closedByClient).toBeDefined()
    expect([view.rows, client.connection.status]).toEqual([[], 'reconnecting'])
  })
})

describe('credentials during a move', () => {
  test('other ones while writes are waited for: the move is given up, and tried again with them', () => {
    const { client, clock, ws, polling } = fallenBack({ token: 'first' })
    outcome(client.comments.create({ topicId: 7, text: 'a' }))
    clock.advance(10_000)
    ws.link.open().welcome({ user: 'ann' })
    void client.authenticate('second')
    expect(ws.link.closedByClient).toBeDefined()
    expect(polling.link.takeOne('auth').token).toBe('second')
    clock.advance(20_000)
    expect(ws.link.open().takeOne('hello').token).toBe('second')
  })

  test('other ones while views are carried go to the new link, and the transport learns of them', async () => {
    const { client, ws, polling, newId } = carrying({ token: 'first' })
    const done = client.authenticate('second')
    const { id, token } = ws.link.takeOne('auth')
    expect([token, ws.link.request.token(), types(polling.link)]).toEqual(['second', 'first', []])
    ws.link.say({ type: 'reply', id, ok: true })
    await done
    expect(ws.link.request.token()).toBe('second')
    ws.link.say(...resumed(newId))
    expect(polling.link.closedByClient).toBeDefined()
  })

  test('the new link dies before it has answered them: they go into the hello of a link of its own', async () => {
    const { client, ws, polling, clock, view } = carrying({ token: 'first' })
    const done = client.authenticate('second')
    ws.link.drop()
    // The old link was never told.
    expect(polling.link.closedByClient).toBeDefined()
    expect(view.status).toBe('stale')
    clock.advance(1_000)
    expect(ws.link.open().takeOne('hello').token).toBe('second')
    ws.link.welcome({ user: 'ann' })
    await done
  })

  test('a move waits for those which the old link has not answered', async () => {
    const { client, clock, ws, polling } = fallenBack({ token: 'first' })
    const done = client.authenticate('second')
    const { id } = polling.link.takeOne('auth')
    clock.advance(10_000)
    ws.link.open().welcome({ user: 'ann' })
    expect(types(ws.link)).toEqual(['hello'])
    polling.link.say({ type: 'reply', id, ok: true })
    await done
    expect(types(ws.link)).toEqual(['subscribe'])
  })

  test('expiring on the old link while writes are waited for: it is renewed there', () => {
    let count = 0
    const { client, clock, ws, polling } = fallenBack({ token: () => `token ${++count}` })
    outcome(client.comments.create({ topicId: 7, text: 'a' }))
    clock.advance(10_000)
    ws.link.open().welcome({ user: 'ann' })
    expect(ws.link.takeOne('hello').token).toBe('token 2')
    polling.link.say({ type: 'expiring', expiresAt: 1 })
    expect(polling.link.takeOne('auth').token).toBe('token 3')
    expect(ws.link.closedByClient).toBeDefined()
  })

  test('expiring on the old link while views are carried is none of ours; on the new one it is', () => {
    let count = 0
    const { ws, polling } = carrying({ token: () => `token ${++count}` })
    polling.link.say({ type: 'expiring', expiresAt: 1 })
    expect([types(polling.link), types(ws.link)]).toEqual([[], []])
    ws.link.say({ type: 'expiring', expiresAt: 1 })
    expect(ws.link.takeOne('auth').token).toBe('token 3')
  })
})

describe('close during a move', () => {
  test.each(['while writes are waited for', 'while views are carried'])('%s ends both links', async (when) => {
    const { client, clock, ws, polling, view } = fallenBack()
    const request =
      when === 'while views are carried'
        ? outcome(client.comments.list())
        : outcome(client.comments.create({ topicId: 7, text: 'a' }))
    clock.advance(10_000)
    ws.link.open().welcome({ user: 'ann' })
    client.close()
    expect([ws.link.closedByClient, polling.link.closedByClient]).toEqual([expect.anything(), expect.anything()])
    expect([view.status, clock.timers]).toEqual(['ended', 0])
    await settle()
    expect(request.value).toBeInstanceOf(Error)
  })
})
