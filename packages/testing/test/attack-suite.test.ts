import type { Api, Handshake, SocketEvents, TransportSocket } from '@rtapi/core'
import { attackSuite } from '@rtapi/testing'
import { expect, test } from 'vitest'
import { failuresOf } from './support/failures.ts'
import { serveInMemory } from './support/memory-transport.ts'

/** A transport that opens a hole: what it makes of frames, of who is there, and of the ends of links. */
interface Hole {
  readonly handshake?: (handshake: Handshake) => Handshake
  /** Answers what the API is given in place of a frame; `undefined`: nothing. */
  readonly receive?: (text: string) => string | undefined
  readonly send?: (text: string, all: readonly TransportSocket[], socket: TransportSocket) => string
  readonly close?: 'never'
}

function serveWith({ handshake: meet, receive, send, close }: Hole): (api: Api) => ReturnType<typeof serveInMemory> {
  const all: TransportSocket[] = []
  const accept = (api: Api): Api['accept'] =>
    function accept(socket, handshake, codec) {
      all.push(socket)
      const given: TransportSocket = {
        id: socket.id,
        get bufferedAmount() {
          return socket.bufferedAmount
        },
        send: (frame) => socket.send(send === undefined ? frame : { data: send(String(frame.data), all, socket) }),
        close(code, reason) {
          if (close === undefined) socket.close(code, reason)
        },
      }
      const events: SocketEvents = api.accept(given, meet?.(handshake) ?? handshake, codec)
      return {
        drained: () => events.drained(),
        closed: (code, reason) => events.closed(code, reason),
        receive(data) {
          const text = receive === undefined || typeof data !== 'string' ? data : receive(data)
          if (text !== undefined) events.receive(text)
        },
      }
    }
  return (api) => serveInMemory({ ...api, accept: accept(api) })
}

let askedForHidden = false
let first: Handshake | undefined

const holes: readonly (readonly [what: string, row: string, hole: Hole])[] = [
  ['takes everybody for whoever came first', 'A32', { handshake: (handshake) => (first ??= handshake) }],
  [
    'sends what is for one to all',
    'A32',
    {
      send(text, all, socket) {
        for (const other of all) if (other !== socket) other.send({ data: text })
        return text
      },
    },
  ],
  ['drops what is no JSON', 'A12', { receive: (text) => (isJson(text) ? text : undefined) }],
  ['cuts what is nested', 'A17', { receive: (text) => text.replace(/\[{9,}\]+/, '1') }],
  ['lets names reach a prototype', 'A23', { receive: (text) => text.replaceAll('__proto__', 'id') }],
  ['ends no link', 'A7', { close: 'never' }],
  [
    'says which constraint was hurt',
    'A29',
    { send: (text) => text.replace('"conflict"', '"conflict","index":"code"') },
  ],
  [
    'tells hidden from missing',
    'A28',
    {
      receive(text) {
        askedForHidden = text.includes('"key":2')
        return text
      },
      send: (text) => (askedForHidden ? text.replace('not_found', 'forbidden') : text),
    },
  ],
  ['takes the first of two names', 'A46', { receive: (text) => text.replace(/,"owner":"\w+"\}\}$/, '}}') }],
  ['runs what is repeated', 'A42', { receive: (text) => text.replace('"idempotencyKey":"k"', '"limit":1') }],
]

test.each(holes)('a transport that %s is found by %s', async (_what, row, hole) => {
  const cases = attackSuite({ name: 'a bad one', serve: serveWith(hole), timeout: 200 })
  const tried = cases.filter(({ name }) => name.startsWith(`${row} `))
  expect(tried).not.toEqual([])
  expect(await failuresOf(tried)).not.toEqual([])
})

test('a transport like that without a hole passes', async () => {
  const rows = holes.map(([, row]) => row)
  const cases = attackSuite({ name: 'a good one', serve: serveWith({ send: (text) => text, receive: (text) => text }) })
  expect(await failuresOf(cases.filter(({ name }) => rows.includes(name.split(' ', 1)[0] ?? '')))).toEqual([])
}, 20_000)

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}
