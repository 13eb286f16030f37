import { describe, expect, test } from 'vitest'
import { liveClient, scriptedClient, settle, wireRow } from './support/scripted-client.ts'
import type { ScriptedLink } from './support/scripted-transport.ts'
import { shownView, snapshot } from './support/shown-view.ts'

function subscribes(link: ScriptedLink) {
  return link.take().filter((message) => message.type === 'subscribe')
}

describe('after a lost link', () => {
  test('a view resumes: its rows stay, what changed is merged, what is gone is taken out', () => {
    const { transport, view, clock, client } = shownView()
    const [one] = view.rows
    transport.link.drop()
    expect(view.status).toBe('stale')
    clock.advance(1_000)
    transport.link.open()
    const [hello, subscribe] = transport.link.take()
    expect(hello).toMatchObject({ type: 'hello' })
    expect(subscribe).toMatchObject({ type: 'subscribe', since: 'p1', have: [1, 2] })
    expect(transport.link.frames).toHaveLength(1)
    transport.link.welcome()
    expect(client.connection.getSnapshot().recovery).toEqual({ resumed: 0, reset: 0, waiting: 1 })
    const id = subscribe !== undefined && 'id' in subscribe ? subscribe.id : ''
    transport.link.say(snapshot(id, [wireRow(3)], { feed: 'f8', position: 'p4' }), {
      type: 'changes',
      feed: 'f8',
      from: 'p4',
      to: 'p4',
      changes: [{ action: 'delete', key: 2 }],
    })
    expect(view.rows).toEqual([one, wireRow(3).data])
    expect(view.rows[0]).toBe(one)
    expect(view.status).toBe('live')
    expect(client.connection.getSnapshot().recovery).toEqual({ resumed: 1, reset: 0, waiting: 0 })
    view.close()
    transport.link.drop()
    clock.advance(2_000)
    transport.link.open().welcome()
    expect(client.connection.getSnapshot().recovery).toBeUndefined()
  })

  test('views that were reset or closed meanwhile are counted as that', () => {
    const { client, transport, clock } = shownView()
    const second = client.comments.live()
    transport.link.say(snapshot(transport.link.takeSubscribe().id, [wireRow(1)]))
    const third = client.comments.live()
    transport.link.say(snapshot(transport.link.takeSubscribe().id, [wireRow(1)]))
    transport.link.drop()
    clock.advance(1_000)
    transport.link.open().welcome()
    const [first] = subscribes(transport.link)
    expect(client.connection.getSnapshot().recovery).toEqual({ resumed: 0, reset: 0, waiting: 3 })
    const id = first !== undefined && 'id' in first ? first.id : ''
    transport.link.say({ type: 'reset', id, reason: 'gap' })
    transport.link.say(snapshot(id, [wireRow(5)]))
    third.close()
    expect(client.connection.getSnapshot().recovery).toEqual({ resumed: 0, reset: 1, waiting: 1 })
    expect(second.status).toBe('stale')
  })

  test('a resume that is cut off begins from the same position', () => {
    const { transport, view, clock } = shownView()
    transport.link.drop()
    clock.advance(1_000)
    transport.link.open().welcome()
    transport.link.say(snapshot(transport.link.takeSubscribe().id, [wireRow(3)], { done: false }))
    transport.link.drop()
    expect(view.rows).toHaveLength(2)
    clock.advance(5_000)
    transport.link.open()
    expect(transport.link.takeSubscribe()).toMatchObject({ since: 'p1', have: [1, 2] })
  })

  test('a view with more rows than the server lets it name is loaded anew', () => {
    const { client, transport, clock } = scriptedClient()
    const view = client.comments.live()
    transport.link.open().welcome({ limits: { subscriptions: 100, frame: 65_536, have: 2 } })
    transport.link.say(snapshot(transport.link.takeSubscribe().id, [wireRow(1), wireRow(2), wireRow(3)]))
    transport.link.drop()
    clock.advance(1_000)
    transport.link.open().welcome()
    const again = transport.link.takeSubscribe()
    expect([again.since, again.have]).toEqual([undefined, undefined])
    transport.link.say(snapshot(again.id, [wireRow(1)]))
    expect(view.rows).toEqual([wireRow(1).data])
    expect(client.connection.getSnapshot().recovery).toEqual({ resumed: 0, reset: 1, waiting: 0 })
  })

  test('so is one whose keys do not fit into a frame', () => {
    const { client, transport, clock } = liveClient()
    client.comments.live()
    const rows = Array.from({ length: 300 }, (_, at) => ({ key: `${at}${'é'.repeat(120)}`, data: {} }))
    transport.link.say(snapshot(transport.link.takeSubscribe().id, rows))
    transport.link.drop()
    clock.advance(1_000)
    transport.link.open()
    expect(transport.link.takeSubscribe().since).toBeUndefined()
  })

  test('many views go in as many frames as the server accepts', () => {
    const { client, transport, clock } = liveClient()
    for (let i = 0; i < 150; i++) {
      client.comments.live()
      const rows = Array.from({ length: 200 }, (_, at) => ({ key: [i, at], data: {} }))
      transport.link.say(snapshot(transport.link.takeSubscribe().id, rows))
    }
    transport.link.drop()
    clock.advance(1_000)
    // The link's own parser refuses frames above the limits; the server keeps only so many messages before its welcome.
    transport.link.open()
    expect(subscribes(transport.link)).toHaveLength(50)
    client.comments.live({ key: 1 })
    expect(subscribes(transport.link)).toHaveLength(0)
    transport.link.welcome()
    expect(subscribes(transport.link)).toHaveLength(101)
    expect(transport.link.frames.length).toBeGreaterThan(1)
    expect(transport.link.frames.every((frame) => frame.length < 65_536)).toBe(true)
  })

  test('a view made or closed while there is no link counts when there is one', () => {
    const { client, transport, view, clock } = shownView()
    transport.link.drop()
    view.close()
    client.comments.live({ key: 5 })
    clock.advance(1_000)
    transport.link.open()
    expect(subscribes(transport.link)).toMatchObject([{ key: 5 }])
  })
})

describe('somebody else', () => {
  test('4451: the rows are dropped at once, and the views load anew', () => {
    const { client, transport, view, clock } = shownView()
    transport.link.goodbye(4451)
    expect([view.status, view.rows]).toEqual(['loading', []])
    clock.advance(1_000)
    transport.link.open().welcome({ user: 'u2' })
    const again = transport.link.takeSubscribe()
    expect(again.since).toBeUndefined()
    transport.link.say(snapshot(again.id, [wireRow(8)]))
    expect(view.rows).toEqual([wireRow(8).data])
    expect(client.connection.getSnapshot().user).toBe('u2')
  })

  test('another user in the welcome: the same, and writes that waited are not made', async () => {
    const scripted = scriptedClient()
    const { client, transport, clock } = scripted
    const view = client.comments.live()
    transport.link.open().welcome({ user: 'u1' })
    transport.link.say(snapshot(transport.link.takeSubscribe().id, [wireRow(1)]))
    transport.link.drop()
    const write = client.comments.create({ topicId: 7, text: 'from u1' })
    const outcome = write.catch((error: unknown) => error)
    clock.advance(1_000)
    transport.link.open()
    const resumed = transport.link.takeSubscribe()
    expect(resumed.since).toBe('p1')
    transport.link.welcome({ user: 'u2' })
    expect([view.status, view.rows]).toEqual(['loading', []])
    const messages = transport.link.take()
    expect(messages).toEqual([
      { type: 'unsubscribe', id: resumed.id },
      { type: 'subscribe', id: expect.any(String) as string, resource: 'comments' },
    ])
    transport.link.say(snapshot(resumed.id, [wireRow(1)]))
    expect(view.rows).toEqual([])
    expect(await outcome).toMatchObject({ code: 'unauthenticated' })
    expect(client.connection.getSnapshot().recovery).toEqual({ resumed: 0, reset: 0, waiting: 1 })
  })

  test('the same user again: nothing is dropped', () => {
    const { client, transport, clock } = scriptedClient()
    const view = client.comments.live()
    transport.link.open().welcome({ user: 'u1' })
    transport.link.say(snapshot(transport.link.takeSubscribe().id, [wireRow(1)]))
    transport.link.drop()
    clock.advance(1_000)
    transport.link.open().welcome({ user: 'u1' })
    expect(view.rows).toHaveLength(1)
    expect(subscribes(transport.link)).toHaveLength(1)
  })
})

describe('a connection that is over', () => {
  test('ends its views with the error; they start again when the client connects again', async () => {
    const { client, transport, view } = shownView()
    const iteration = (async () => {
      for await (const _ of view);
    })()
    await settle()
    transport.link.goodbye(4429)
    expect([view.status, view.rows.length]).toEqual(['ended', 2])
    expect(view.error).toMatchObject({ code: 'rate_limited' })
    await expect(iteration).rejects.toMatchObject({ code: 'rate_limited' })
    const late = client.comments.live()
    expect([late.status, late.error]).toEqual(['ended', view.error])
    await expect(late.ready).rejects.toMatchObject({ code: 'rate_limited' })
    client.connect()
    transport.link.open().welcome()
    const [first, second] = subscribes(transport.link)
    expect(first).toMatchObject({ since: 'p1' })
    for (const message of [first, second]) {
      if (message?.type === 'subscribe') transport.link.say(snapshot(message.id, []))
    }
    await late.ready
    expect([view.status, view.error, late.status, late.error]).toEqual(['live', undefined, 'live', undefined])
  })

  test.each([4401, 4403, 4440])('%i: nothing that was shown is shown any longer', (code) => {
    const { client, transport, view } = shownView()
    transport.link.goodbye(code)
    expect([view.status, view.rows]).toEqual(['ended', []])
    client.connect()
    transport.link.open()
    expect(transport.link.takeSubscribe().since).toBeUndefined()
  })

  test('a closed client ends its views for good', async () => {
    const { client, transport, view, clock } = shownView()
    client.close()
    expect([view.status, view.error, clock.timers]).toEqual(['ended', undefined, 0])
    expect(transport.link.closedByClient).toEqual({ code: 1000, reason: 'closed' })
    const late = client.comments.live()
    expect(late.status).toBe('ended')
    await expect(client.comments.get(1)).rejects.toMatchObject({ code: 'unavailable' })
    client.connect()
    transport.link.open()
    // Only the view made after the end was waiting for a beginning.
    expect(subscribes(transport.link)).toHaveLength(1)
    expect(view.status).toBe('ended')
  })
})
