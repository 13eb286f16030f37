import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { createClient } from '../src/index.ts'
import { FakeClock } from './support/fake-clock.ts'
import { liveClient, scriptedClient, settle, wireRow } from './support/scripted-client.ts'
import { ScriptedTransport } from './support/scripted-transport.ts'
import { changes, ids, shownView, snapshot } from './support/shown-view.ts'

describe('closing', () => {
  test('unsubscribes, keeps the rows, and hears nothing more', () => {
    const { transport, view, id } = shownView()
    const statuses: string[] = []
    view.subscribe((_, { status }) => statuses.push(status))
    view.close()
    view.close()
    expect(transport.link.take()).toEqual([{ type: 'unsubscribe', id }])
    transport.link.say(changes('p1', 'p2', { action: 'delete', key: 1 }), { type: 'end', id })
    expect([view.status, ids(view.rows), statuses]).toEqual(['ended', [1, 2], ['live', 'ended']])
  })

  test('while it loads drops what still comes', async () => {
    const { client, transport } = liveClient()
    const view = client.comments.live()
    const { id } = transport.link.takeSubscribe()
    transport.link.say(snapshot(id, [wireRow(1)], { done: false }))
    view.close()
    transport.link.say(snapshot(id, [wireRow(2)], { part: 1 }))
    expect([view.status, view.rows]).toEqual(['ended', []])
    expect(transport.link.take()).toEqual([{ type: 'unsubscribe', id }])
    await expect(view.ready).rejects.toThrow('closed')
  })

  test('while it waits for another try cancels the wait', () => {
    const { transport, view, id, clock } = shownView()
    transport.link.say({ type: 'end', id, again: true })
    const timers = clock.timers
    view.close()
    expect(clock.timers).toBe(timers - 1)
    expect(transport.link.take()).toEqual([])
  })

  test('before there is a link leaves nothing to send', () => {
    const { client, transport } = scriptedClient()
    client.comments.live().close()
    transport.link.open()
    expect(transport.link.take().map(({ type }) => type)).toEqual(['hello'])
  })
})

describe('as a store', () => {
  test('subscribe and getSnapshot work without their view', () => {
    const { transport, view } = shownView()
    const { subscribe, getSnapshot } = view
    let calls = 0
    const undo = subscribe(() => calls++)
    expect(getSnapshot()).toBe(getSnapshot())
    transport.link.say(changes('p1', 'p2', { action: 'delete', key: 1 }))
    expect([calls, ids(getSnapshot())]).toEqual([2, [2]])
    undo()
    transport.link.say(changes('p2', 'p3', { action: 'delete', key: 2 }))
    expect([calls, getSnapshot()]).toEqual([2, []])
  })

  test('a listener that throws is reported, and the others hear all the same', () => {
    const { transport, view, reported } = shownView()
    const error = new Error('mine')
    let calls = 0
    view.subscribe(() => {
      throw error
    })
    view.subscribe(() => calls++)
    transport.link.say(changes('p1', 'p2', { action: 'delete', key: 1 }))
    expect([calls, reported]).toEqual([2, [error, error]])
  })

  test('where nobody wants the reports, an error is one of the page', () => {
    const thrown: unknown[] = []
    vi.stubGlobal('reportError', (error: unknown) => thrown.push(error))
    onTestFinished(() => void vi.unstubAllGlobals())
    const transport = new ScriptedTransport()
    const client = createClient({ url: 'ws://server', transport, clock: new FakeClock() })
    const error = new Error('mine')
    client
      .resource('comments')
      .live()
      .subscribe(() => {
        throw error
      })
    transport.link.open().welcome()
    transport.link.say(snapshot(transport.link.takeSubscribe().id, []))
    expect(thrown).toEqual([error])
    client.close()
  })

  test('a listener may close its view or the client, or open another', () => {
    const { client, transport, view, clock } = shownView()
    view.subscribe((rows) => {
      if (rows.length !== 1) return
      client.comments.live({ key: 9 })
      view.close()
      client.close()
    })
    transport.link.say(changes('p1', 'p2', { action: 'delete', key: 1 }))
    expect([view.status, transport.link.closedByClient?.code, clock.timers]).toEqual(['ended', 1000, 0])
  })
})

describe('as an async iterable', () => {
  test('gives the rows of now, then the latest after each pause, and ends with the view', async () => {
    const { transport, view } = shownView()
    const seen: number[][] = []
    const loop = (async () => {
      for await (const rows of view) seen.push(ids(rows))
    })()
    await settle()
    transport.link.say(changes('p1', 'p2', { action: 'delete', key: 1 }))
    transport.link.say(changes('p2', 'p3', { action: 'create', ...wireRow(3) }))
    await settle()
    transport.link.drop()
    await settle()
    view.close()
    await loop
    expect(seen).toEqual([
      [1, 2],
      [2, 3],
    ])
  })

  test('waits for the first snapshot, and throws what ended the view', async () => {
    const { client, transport } = liveClient()
    const view = client.comments.live()
    const { id } = transport.link.takeSubscribe()
    const seen: number[][] = []
    const loop = (async () => {
      for await (const rows of view) seen.push(ids(rows))
    })()
    await settle()
    expect(seen).toEqual([])
    transport.link.say(snapshot(id, []))
    await settle()
    transport.link.say({ type: 'end', id, error: { code: 'forbidden', message: 'no', retryable: false } })
    await expect(loop).rejects.toMatchObject({ code: 'forbidden' })
    expect(seen).toEqual([[]])
  })

  test('leaving the loop leaves the view', async () => {
    const { transport, view } = shownView()
    for await (const rows of view) if (rows.length > 0) break
    transport.link.say(changes('p1', 'p2', { action: 'delete', key: 1 }))
    expect([view.status, ids(view.rows)]).toEqual(['live', [2]])
  })
})
