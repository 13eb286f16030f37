import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { settle } from './support/scripted-client.ts'
import { ScriptedTransport } from './support/scripted-transport.ts'
import { carrying, fallenBack, resumed, twoTransports } from './support/two-transports.ts'

describe('while a lesser transport is in use', () => {
  test('the better one is tried after 10 s, then after longer and longer waits, up to 5 min', () => {
    const { ws, clock, polling } = fallenBack()
    const waits = [10, 20, 40, 80, 160, 300, 300]
    for (const [at, seconds] of waits.entries()) {
      for (let passed = 0; passed < seconds; passed += 10) {
        expect(ws.links).toHaveLength(at + 1)
        clock.advance(10_000)
        // The connection in use is alive all the time.
        polling.link.say({ type: 'pong' })
      }
      expect(ws.links).toHaveLength(at + 2)
      ws.link.drop()
    }
  })

  test.each([
    [0, 7_500],
    [0.999_999, 12_500],
  ])('the waits are spread: chance %d waits %d ms', (chance, wait) => {
    const { ws, clock } = fallenBack({ random: () => chance })
    clock.advance(wait - 1)
    expect(ws.links).toHaveLength(1)
    clock.advance(1)
    expect(ws.links).toHaveLength(2)
  })

  test('a probe says hello and nothing else, and its failure shows nowhere but in the reason', async () => {
    const { client, ws, clock, statuses, connectionStatuses } = fallenBack()
    clock.advance(10_000)
    ws.link.open()
    expect(ws.link.take().map(({ type }) => type)).toEqual(['hello'])
    ws.link.drop(1006, 'blocked')
    await settle()
    expect(client.connection.getSnapshot()).toMatchObject({
      transport: 'long-polling',
      error: undefined,
      fallback: { from: 'ws', error: { message: 'the server closed the connection: blocked' } },
    })
    expect(statuses).toEqual(['live'])
    expect(new Set(connectionStatuses)).toEqual(new Set(['live']))
  })

  test.each([4401, 4403, 4440])('a probe that the server refuses (%i) does not close the client', (code) => {
    const { client, ws, clock } = fallenBack()
    clock.advance(10_000)
    ws.link.open().goodbye(code)
    expect(client.connection.status).toBe('live')
    clock.advance(20_000)
    expect(ws.links).toHaveLength(3)
  })

  test('a probe whose welcome does not come is given up', () => {
    const { ws, clock } = fallenBack()
    clock.advance(10_000)
    ws.link.open()
    clock.advance(10_000)
    expect(ws.link.closedByClient).toBeDefined()
    clock.advance(20_000)
    expect(ws.links).toHaveLength(3)
  })

  test('a probe for which there is no token is a probe that fails', async () => {
    let answer: () => string | Promise<string> = () => 'first'
    const { client, ws, polling, clock } = twoTransports({ token: () => answer() })
    client.connect()
    ws.link.drop()
    polling.link.open().welcome({ heartbeat: { interval: 250_000, timeout: 10_000 } })
    answer = () => Promise.reject(new Error('no'))
    clock.advance(10_000)
    await settle()
    // The next one does not come at all.
    answer = () => new Promise(() => undefined)
    clock.advance(20_000)
    clock.advance(10_000)
    expect(ws.links).toHaveLength(1)
    expect(client.connection.getSnapshot().fallback?.error?.message).toBe('the token did not come in time')
    answer = () => 'third'
    clock.advance(40_000)
    expect(ws.link.open().takeOne('hello').token).toBe('third')
    expect(client.connection.status).toBe('live')
  })

  test('a browser that is online again tries at once, and the waits start over', () => {
    const events = new EventTarget()
    vi.stubGlobal('addEventListener', events.addEventListener.bind(events))
    vi.stubGlobal('removeEventListener', events.removeEventListener.bind(events))
    onTestFinished(() => void vi.unstubAllGlobals())
    const { ws, clock, client, polling } = fallenBack()
    for (const wait of [10_000, 20_000]) {
      clock.advance(wait)
      polling.link.say({ type: 'pong' })
      ws.link.drop()
    }
    events.dispatchEvent(new Event('online'))
    polling.link.say({ type: 'pong' })
    expect(ws.links).toHaveLength(4)
    // One that is under way is not doubled.
    events.dispatchEvent(new Event('online'))
    polling.link.say({ type: 'pong' })
    expect(ws.links).toHaveLength(4)
    ws.link.drop()
    clock.advance(20_000)
    expect(ws.links).toHaveLength(5)
    client.close()
    expect(clock.timers).toBe(0)
  })

  test('of several better ones the best that gets through is taken, and the best of all still tried', () => {
    const middle = new ScriptedTransport('event-stream')
    const ws = new ScriptedTransport('ws')
    const last = new ScriptedTransport('long-polling')
    const { client, clock } = twoTransports({ transport: [ws, middle, last] })
    client.connect()
    ws.link.drop()
    middle.link.drop()
    last.link.open().welcome()
    clock.advance(10_000)
    ws.link.drop()
    expect(middle.links).toHaveLength(2)
    middle.link.open().welcome()
    expect(client.connection.getSnapshot()).toMatchObject({ transport: 'event-stream', fallback: { from: 'ws' } })
    expect(last.link.closedByClient).toEqual({ code: 1000, reason: 'moved' })
    clock.advance(20_000)
    expect(ws.links).toHaveLength(3)
    ws.link.open().welcome()
    expect(client.connection.getSnapshot()).toMatchObject({ transport: 'ws', fallback: undefined })
    clock.advance(20_000)
    expect([ws.links.length, middle.links.length, last.links.length]).toEqual([3, 2, 1])
  })

  test('a link in use that dies takes the probe with it: nothing was on it', () => {
    const { client, ws, polling, clock } = fallenBack()
    clock.advance(10_000)
    ws.link.open()
    polling.link.drop()
    expect(ws.link.closedByClient).toBeDefined()
    ws.link.welcome()
    expect(client.connection.status).toBe('reconnecting')
    clock.advance(1_000)
    polling.link.open()
    expect(polling.link.takeSubscribe()).toMatchObject({ since: 'p1' })
  })

  test('a better transport that does not last is not taken again and again', () => {
    const { ws, polling, clock, newId } = carrying()
    ws.link.say(...resumed(newId))
    expect(polling.link.closedByClient).toBeDefined()
    ws.link.drop()
    clock.advance(1_000)
    ws.link.drop()
    polling.link.open().welcome({ user: 'ann' })
    const links = ws.links.length
    clock.advance(19_999)
    expect(ws.links).toHaveLength(links)
    clock.advance(1)
    expect(ws.links).toHaveLength(links + 1)
  })

  test('one that has lasted is tried as soon as at first', () => {
    const { ws, polling, clock, newId } = carrying()
    ws.link.say(...resumed(newId))
    for (let i = 0; i < 15; i++) {
      clock.advance(20_000)
      ws.link.say({ type: 'pong' })
    }
    ws.link.drop()
    clock.advance(1_000)
    ws.link.drop()
    polling.link.open().welcome({ user: 'ann' })
    const links = ws.links.length
    clock.advance(10_000)
    expect(ws.links).toHaveLength(links + 1)
  })

  test('somebody else whom the source of tokens names by now does not slip in', () => {
    const { client, ws, clock, view } = fallenBack()
    clock.advance(10_000)
    ws.link.open().welcome({ user: 'bob' })
    expect(ws.link.closedByClient).toBeDefined()
    expect(client.connection.getSnapshot()).toMatchObject({ user: 'ann', transport: 'long-polling' })
    expect(view.status).toBe('live')
    clock.advance(20_000)
    expect(ws.links).toHaveLength(3)
  })

  test.each(['while the probe opens', 'after its hello'])('other credentials end a probe: %s', (when) => {
    const { client, ws, clock, polling } = fallenBack()
    clock.advance(10_000)
    const probe = ws.link
    if (when === 'after its hello') probe.open()
    void client.authenticate('other')
    expect(probe.closedByClient).toBeDefined()
    expect(polling.link.takeOne('auth').token).toBe('other')
    clock.advance(10_000)
    expect(ws.link.open().takeOne('hello').token).toBe('other')
  })

  test('a transport that cannot even try is a probe that fails', () => {
    const ws = new ScriptedTransport('ws')
    let broken = false
    const transport = {
      name: 'ws',
      connect: (request: Parameters<typeof ws.connect>[0]) => {
        if (broken) throw new TypeError('no WebSocket any more')
        return ws.connect(request)
      },
    }
    const polling = new ScriptedTransport('long-polling')
    const { client, clock } = twoTransports({ transport: [transport, polling] })
    client.connect()
    ws.link.drop()
    polling.link.open().welcome()
    broken = true
    clock.advance(10_000)
    expect(client.connection.getSnapshot()).toMatchObject({
      status: 'live',
      fallback: { error: { message: 'no WebSocket any more' } },
    })
    broken = false
    clock.advance(20_000)
    expect(ws.links).toHaveLength(2)
  })

  test('other credentials do not put a probe off', () => {
    const { client, ws, clock } = fallenBack()
    clock.advance(9_000)
    void client.authenticate('other')
    clock.advance(1_000)
    expect(ws.link.open().takeOne('hello').token).toBe('other')
  })

  test('other credentials while there is no connection begin none', () => {
    const { client, ws, polling, clock } = fallenBack()
    polling.link.drop()
    void client.authenticate('other').catch(() => undefined)
    // The wait for the next attempt, and nothing else.
    expect(clock.timers).toBe(1)
    client.close()
    void client.authenticate('third').catch(() => undefined)
    const { length } = ws.links
    polling.link.open().goodbye(4440)
    expect([clock.timers, ws.links.length]).toEqual([0, length])
  })

  test('one that gets through before the last move is over comes too soon', () => {
    const middle = new ScriptedTransport('event-stream')
    const ws = new ScriptedTransport('ws')
    const last = new ScriptedTransport('long-polling')
    const { client, clock } = twoTransports({ transport: [ws, middle, last] })
    client.connect()
    ws.link.drop()
    middle.link.drop()
    last.link.open().welcome()
    void client.comments.list(undefined, { timeout: 100_000 })
    const { id } = last.link.takeRequest()
    clock.advance(10_000)
    ws.link.drop()
    middle.link.open().welcome()
    // A read keeps the link from before.
    expect(last.link.closedByClient).toBeUndefined()
    clock.advance(20_000)
    ws.link.open().welcome()
    expect(ws.link.closedByClient).toBeDefined()
    for (const each of [last, middle]) each.link.say({ type: 'pong' })
    last.link.say({ type: 'reply', id, ok: true, rows: [] })
    expect(last.link.closedByClient).toEqual({ code: 1000, reason: 'moved' })
    clock.advance(20_000)
    middle.link.say({ type: 'pong' })
    clock.advance(20_000)
    ws.link.open().welcome()
    expect(client.connection.getSnapshot().transport).toBe('ws')
  })

  test('close ends it', () => {
    const { client, ws, clock } = fallenBack()
    clock.advance(10_000)
    ws.link.open()
    client.close()
    expect(ws.link.closedByClient).toBeDefined()
    expect(clock.timers).toBe(0)
  })
})
