import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { EventStreamParser, type StreamEvent } from '../src/event-stream-parser.ts'

function parse(...pieces: readonly string[]): { readonly events: StreamEvent[]; readonly retry: number | undefined } {
  const events: StreamEvent[] = []
  const parser = new EventStreamParser((event) => events.push(event))
  for (const piece of pieces) parser.push(piece)
  return { events, retry: parser.retry }
}

const stream = [
  '\uFEFFretry: 1000\r\n\r\n',
  ': a comment\n\n',
  'id: s.1\ndata: one\n\n',
  'data:two\rdata: lines\r\r',
  'event: close\r\ndata: {"code":1000}\r\nunknown: x\r\n\r\n',
  'id\ndata\n\n',
  'id: bad\0id\nretry: soon\ndata:  spaced\n\n',
  'event: nothing\n\n',
  'data: after\n\n',
  'data: never finished',
].join('')

const expected: readonly StreamEvent[] = [
  { type: 'message', data: 'one', id: 's.1' },
  { type: 'message', data: 'two\nlines', id: 's.1' },
  { type: 'close', data: '{"code":1000}', id: 's.1' },
  { type: 'message', data: '', id: '' },
  { type: 'message', data: ' spaced', id: '' },
  { type: 'message', data: 'after', id: '' },
]

test('events are read as the standard says', () => {
  expect(parse(stream)).toEqual({ events: expected, retry: 1_000 })
})

test('however the text is cut', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(stream.length), { maxLength: 30 }), (cuts) => {
      const places = [0, ...cuts.toSorted((a, b) => a - b), stream.length]
      const pieces = places.slice(1).map((to, at) => stream.slice(places[at], to))
      expect(parse(...pieces)).toEqual({ events: expected, retry: 1_000 })
    }),
  )
  expect(parse(...stream.split(''))).toEqual({ events: expected, retry: 1_000 })
})
