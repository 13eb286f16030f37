import { describe, expect, test } from 'vitest'
import { scriptedClient } from './support/scripted-client.ts'
import { ScriptedTransport } from './support/scripted-transport.ts'
import { twoTransports } from './support/two-transports.ts'

describe('of several transports', () => {
  test('the next is tried at once after one that never opened, with the same token', () => {
    let asked = 0
    const { client, ws, polling, clock } = twoTransports({ token: () => `token ${++asked}` })
    client.connect()
    ws.link.drop()
    expect([polling.links.length, clock.next]).toEqual([1, 10_000])
    polling.link.open()
    expect(polling.link.takeOne('hello').token).toBe('token 1')
    polling.link.welcome()
    expect(client.connection.getSnapshot()).toMatchObject({
      status: 'live',
      transport: 'long-polling',
      fallback: { from: 'ws', error: { code: 'unavailable' } },
      error: undefined,
    })
  })

  test('one that opens and is cut before the welcome has not got through', () => {
    const { client, ws, polling } = twoTransports()
    client.connect()
    ws.link.open().drop()
    expect(polling.links).toHaveLength(1)
  })

  test('one that opens and hears nothing is given up soon, the last of them later', () => {
    const { client, ws, polling, clock } = twoTransports()
    client.connect()
    ws.link.open()
    clock.advance(3_999)
    expect(polling.links).toHaveLength(0)
    clock.advance(1)
    expect(ws.link.closedByClient).toBeDefined()
    polling.link.open()
    clock.advance(9_999)
    expect(polling.link.closedByClient).toBeUndefined()
    clock.advance(1)
    expect(polling.link.closedByClient).toBeDefined()
  })

  test('after all have failed there is a wait, and then all are tried again', () => {
    const { client, ws, polling, clock } = twoTransports()
    client.connect()
    ws.link.drop()
    polling.link.drop()
    expect([ws.links.length, polling.links.length]).toEqual([1, 1])
    expect(client.connection.getSnapshot().retryIn).toBe(750)
    clock.advance(750)
    ws.link.drop()
    expect([ws.links.length, polling.links.length]).toEqual([2, 2])
  })

  test('what has got through is used again after a lost link', () => {
    const { client, ws, polling, clock } = twoTransports()
    client.connect()
    ws.link.drop()
    polling.link.open().welcome()
    polling.link.drop()
    clock.advance(1_000)
    expect([ws.links.length, polling.links.length]).toEqual([1, 2])
    polling.link.drop()
    expect([ws.links.length, polling.links.length]).toEqual([2, 2])
    ws.link.open().welcome()
    expect(client.connection.getSnapshot()).toMatchObject({ transport: 'ws', fallback: undefined })
  })

  test.each([4403, 4452])('a server that says why not (%i) has been reached', (code) => {
    const { client, ws, polling } = twoTransports()
    client.connect()
    ws.link.open().goodbye(code)
    expect(polling.links).toHaveLength(0)
    expect(client.connection.status).toBe(code === 4403 ? 'closed' : 'connecting')
  })

  test('one whose connections are cut soon, again and again, is left for the next', () => {
    const { client, ws, polling, clock } = twoTransports()
    client.connect()
    for (let i = 0; i < 3; i++) {
      ws.link.open().welcome()
      clock.advance(1_000)
      expect(polling.links).toHaveLength(0)
      ws.link.drop()
      if (i < 2) clock.advance(client.connection.getSnapshot().retryIn ?? 0)
    }
    expect(polling.links).toHaveLength(1)
  })

  test('one that is cut now and then is not', () => {
    const { client, ws, polling, clock } = twoTransports()
    client.connect()
    for (let i = 0; i < 6; i++) {
      ws.link.open().welcome()
      clock.advance(i % 2 === 0 ? 1_000 : 6_000)
      ws.link.drop()
      clock.advance(client.connection.getSnapshot().retryIn ?? 0)
    }
    expect(polling.links).toHaveLength(0)
  })
})

test('a single transport is tried again and again', () => {
  const { client, transport, clock } = scriptedClient()
  client.connect()
  for (let i = 0; i < 5; i++) {
    transport.link.open().welcome()
    transport.link.drop()
    expect(client.connection.getSnapshot().retryIn).toBeGreaterThan(0)
    clock.advance(client.connection.getSnapshot().retryIn ?? 0)
  }
  expect(transport.links).toHaveLength(6)
})

test('no transport at all is an error at once', () => {
  const { client } = scriptedClient({ transport: [] })
  client.connect()
  expect(client.connection.getSnapshot()).toMatchObject({
    status: 'closed',
    error: new TypeError('transport: expected at least one'),
  })
})

test('an address that one transport cannot take closes the client', () => {
  const broken = {
    name: 'broken',
    connect: () => {
      throw new TypeError('no address')
    },
  }
  const ws = new ScriptedTransport('ws')
  const { client } = scriptedClient({ transport: [ws, broken] })
  client.connect()
  ws.link.drop()
  expect(client.connection.getSnapshot()).toMatchObject({ status: 'closed', error: { message: 'no address' } })
})
