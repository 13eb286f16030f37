import { type Api, type Diagnostic, allowAny, createApi, defineResource, memoryStore } from '@rtapi/core'
import { type FakeClock, connect, fakeClock } from '@rtapi/testing'
import { channel, subscribe, unsubscribe } from 'node:diagnostics_channel'
import { afterEach, beforeEach, expect, test } from 'vitest'

let clock: FakeClock
let api: Api | undefined
let events: Diagnostic[]
const reports: string[] = []
const secrets = { token: 'TOKEN-7f3', text: 'PAYLOAD-91c' }

beforeEach(() => {
  clock = fakeClock()
  events = []
  reports.length = 0
})

afterEach(() => api?.close())

function open(diagnostics: (event: Diagnostic) => void): Api {
  const store = memoryStore({ entity: 'Note', fields: { id: 'integer', text: 'string' }, rows: [{ id: 1, text: 'a' }] })
  return (api = createApi({
    resources: [
      defineResource('notes', {
        store,
        permissions: [allowAny],
        input: { create: ['text'] },
        ownActions: {
          fail: {
            run() {
              throw new Error('broken')
            },
          },
        },
      }),
    ],
    changes: [store],
    clock,
    authenticate: () => ({ user: { id: 'ada' }, id: 's1' }),
    report: (_error, context) => reports.push(JSON.stringify(context)),
    diagnostics,
  }))
}

test('tell of connections, requests, views and sessions, and hold nothing of what was sent', async () => {
  const client = await connect(
    open((event) => events.push(event)),
    { token: secrets.token },
  )
  await client.request({ resource: 'notes', action: 'create', data: { text: secrets.text } })
  await client.request({ resource: 'notes', action: 'get', key: secrets.text })
  await client.request({ resource: 'nosuch', action: 'list', where: { text: secrets.text } })
  await client.request({ resource: 'notes', action: 'fail' })
  await client.subscribe({ resource: 'notes', where: { text: secrets.text } })
  client.send({ type: 'subscribe', id: 'bad', resource: 'notes', where: { [secrets.text]: 1 } })
  await client.next('end')
  client.sendRaw(`{"type":"request","${secrets.text}":1}`)
  await client.next('reply')
  await clock.advance(500)
  await api?.sessions.end({ user: 'ada', reason: 'logged out' })
  const whose = { connection: client.welcome?.connection, user: 'ada' }
  const duration = expect.any(Number) as number
  expect(events).toEqual([
    { type: 'connection.opened', ...whose, transport: 'test', session: 's1' },
    { type: 'request.answered', ...whose, resource: 'notes', action: 'create', code: 'ok', duration },
    { type: 'request.answered', ...whose, resource: 'notes', action: 'get', code: 'not_found', duration },
    { type: 'request.answered', ...whose, resource: 'nosuch', action: 'list', code: 'not_found', duration },
    { type: 'request.answered', ...whose, resource: 'notes', action: 'fail', code: 'internal', duration },
    { type: 'subscription.opened', resource: 'notes', rows: 1 },
    { type: 'subscription.ended', resource: 'notes', code: 'bad_request' },
    { type: 'message.refused', ...whose, code: 'bad_request' },
    { type: 'session.command', command: 'end', user: 'ada', reason: 'logged out' },
    { type: 'connection.closed', ...whose, code: 4440, reason: 'logged out', duration },
  ])
  expect(reports.map((text) => JSON.parse(text) as unknown)).toEqual([
    { during: 'request', resource: 'notes', action: 'fail', ...whose },
  ])
  expect(JSON.stringify([events, reports])).not.toMatch(/TOKEN|PAYLOAD/)
})

test('that fail are reported, and disturb nothing', async () => {
  const client = await connect(
    open(() => {
      throw new Error('no metrics')
    }),
  )
  expect(await client.request({ resource: 'notes', action: 'list' })).toMatchObject({ ok: true })
  expect(reports).toContain('{"during":"diagnostics"}')
})

test("reach Node's diagnostics channels by one line", async () => {
  const heard = (message: unknown): void => void events.push(message as Diagnostic)
  subscribe('rtapi:connection.opened', heard)
  await connect(open((event) => channel(`rtapi:${event.type}`).publish(event)))
  unsubscribe('rtapi:connection.opened', heard)
  expect(events).toMatchObject([{ type: 'connection.opened', user: 'ada' }])
})
