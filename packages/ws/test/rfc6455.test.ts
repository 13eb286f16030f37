/** What the configured server does with each kind of frame, named by the sections of RFC 6455. */
import { describe, expect, test } from 'vitest'
import { FakeApi } from './fake-api.ts'
import { serve } from './harness.ts'
import { type FrameParts, buildFrame, closePayload, opcodes } from './raw-client.ts'

interface Case {
  readonly name: string
  readonly send: readonly (FrameParts | Buffer)[]
  /** Frames that the API gets. */
  readonly receives?: readonly string[]
  /** Payloads of the pongs that come back. */
  readonly pongs?: readonly string[]
  /** The code with which the server closes; absent: the connection goes on. */
  readonly closes?: number
}

const { continuation, text, binary, close, ping, pong } = opcodes
const hello: FrameParts = { opcode: text, payload: 'hello' }
const bytes = (...values: number[]): Buffer => Buffer.from(values)
const LIMIT = 65_536

const sections: Readonly<Record<string, readonly Case[]>> = {
  '5.1 masking': [
    { name: 'a masked text frame is taken', send: [hello], receives: ['hello'] },
    { name: 'an unmasked text frame', send: [{ ...hello, mask: false }], closes: 1002 },
    { name: 'an unmasked ping', send: [{ opcode: ping, mask: false }], closes: 1002 },
    { name: 'an unmasked close', send: [{ opcode: close, mask: false, payload: closePayload(1000) }], closes: 1002 },
    { name: 'unmasked after masked', send: [hello, { ...hello, mask: false }], receives: ['hello'], closes: 1002 },
    { name: 'a masking key of zeroes', send: [bytes(0x81, 0x82, 0, 0, 0, 0, 0x68, 0x69)], receives: ['hi'] },
  ],
  '5.2 reserved bits': [
    { name: 'RSV1 on text, no extension being agreed', send: [{ ...hello, rsv: 4 }], closes: 1002 },
    { name: 'RSV2 on text', send: [{ ...hello, rsv: 2 }], closes: 1002 },
    { name: 'RSV3 on text', send: [{ ...hello, rsv: 1 }], closes: 1002 },
    { name: 'all of them on a ping', send: [{ opcode: ping, rsv: 7 }], closes: 1002 },
    { name: 'RSV1 on a ping', send: [{ opcode: ping, rsv: 4 }], closes: 1002 },
    {
      name: 'RSV1 on a continuation',
      send: [
        { ...hello, fin: false },
        { opcode: continuation, rsv: 4 },
      ],
      closes: 1002,
    },
  ],
  '5.2 reserved opcodes': [3, 4, 7, 11, 12, 15].map((opcode) => ({
    name: `opcode ${opcode}`,
    send: [{ opcode, payload: 'x' }],
    closes: 1002,
  })),
  '5.2 payload length': [
    { name: 'nothing', send: [{ opcode: text }], receives: [''] },
    ...[1, 125, 126, 127, 65_535, LIMIT].map((length) => ({
      name: `${length} bytes`,
      send: [{ opcode: text, payload: 'x'.repeat(length) }],
      receives: ['x'.repeat(length)],
    })),
    { name: '5 bytes in the 16-bit form', send: [{ ...hello, lengthBits: 16 as const }], receives: ['hello'] },
    { name: '5 bytes in the 64-bit form', send: [{ ...hello, lengthBits: 64 as const }], receives: ['hello'] },
    { name: 'one byte above the limit', send: [{ opcode: text, payload: 'x'.repeat(LIMIT + 1) }], closes: 1009 },
    { name: 'announcing 2^31 bytes', send: [{ opcode: text, claims: 2n ** 31n }], closes: 1009 },
    { name: 'announcing 2^53 bytes', send: [{ opcode: text, claims: 2n ** 53n }], closes: 1009 },
    { name: 'announcing 2^64 - 1 bytes', send: [{ opcode: text, claims: 2n ** 64n - 1n }], closes: 1009 },
  ],
  '5.4 fragmentation': [
    {
      name: 'two fragments',
      send: [
        { opcode: text, fin: false, payload: 'he' },
        { opcode: continuation, payload: 'llo' },
      ],
      receives: ['hello'],
    },
    {
      name: 'empty fragments around the text',
      send: [
        { opcode: text, fin: false },
        { opcode: continuation, fin: false, payload: 'hello' },
        { opcode: continuation },
      ],
      receives: ['hello'],
    },
    {
      name: 'a ping between fragments',
      send: [
        { opcode: text, fin: false, payload: 'he' },
        { opcode: ping, payload: '?' },
        { opcode: continuation, payload: 'llo' },
      ],
      receives: ['hello'],
      pongs: ['?'],
    },
    { name: 'a continuation of nothing', send: [{ opcode: continuation, payload: 'x' }], closes: 1002 },
    { name: 'an unfinished continuation of nothing', send: [{ opcode: continuation, fin: false }], closes: 1002 },
    { name: 'a new text inside a fragmented one', send: [{ ...hello, fin: false }, hello], closes: 1002 },
    {
      name: 'a continuation after the last fragment',
      send: [{ opcode: text, fin: false }, { opcode: continuation, payload: 'ok' }, { opcode: continuation }],
      receives: ['ok'],
      closes: 1002,
    },
    {
      name: '64 fragments',
      send: [
        { opcode: text, fin: false, payload: 'x' },
        ...Array.from({ length: 62 }, () => ({ opcode: continuation, fin: false, payload: 'x' })),
        { opcode: continuation, payload: 'x' },
      ],
      receives: ['x'.repeat(64)],
    },
    {
      name: '65 fragments',
      send: [
        { opcode: text, fin: false, payload: 'x' },
        ...Array.from({ length: 64 }, () => ({ opcode: continuation, fin: false, payload: 'x' })),
      ],
      closes: 1008,
    },
    {
      name: 'fragments that together pass the limit',
      send: [
        { opcode: text, fin: false, payload: 'x'.repeat(LIMIT) },
        { opcode: continuation, payload: 'x' },
      ],
      closes: 1009,
    },
  ],
  '5.5 control frames': [
    { name: 'a ping is answered with its payload', send: [{ opcode: ping, payload: 'abc' }], pongs: ['abc'] },
    { name: 'a ping of 125 bytes', send: [{ opcode: ping, payload: 'p'.repeat(125) }], pongs: ['p'.repeat(125)] },
    { name: 'a ping of 126 bytes', send: [{ opcode: ping, payload: 'p'.repeat(126) }], closes: 1002 },
    { name: 'a fragmented ping', send: [{ opcode: ping, fin: false }], closes: 1002 },
    { name: 'a pong nobody asked for', send: [{ opcode: pong, payload: 'x' }, hello], receives: ['hello'] },
    { name: 'a fragmented close', send: [{ opcode: close, fin: false }], closes: 1002 },
    { name: 'a close of 126 bytes', send: [{ opcode: close, payload: 'x'.repeat(126) }], closes: 1002 },
  ],
  '5.5.1 and 7.4 closing': [
    { name: 'an empty close is answered by an empty one', send: [{ opcode: close }], closes: 1005 },
    { name: 'a close of one byte', send: [{ opcode: close, payload: 'x' }], closes: 1002 },
    ...[1000, 1001, 1003, 1007, 1011, 3000, 4000, 4999].map((code) => ({
      name: `code ${code} is echoed`,
      send: [{ opcode: close, payload: closePayload(code, 'bye') }],
      closes: code,
    })),
    ...[0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535].map((code) => ({
      name: `code ${code} must not be sent`,
      send: [{ opcode: close, payload: closePayload(code) }],
      closes: 1002,
    })),
    {
      name: 'a reason that is not UTF-8',
      send: [{ opcode: close, payload: closePayload(1000, bytes(0xff)) }],
      closes: 1007,
    },
    { name: 'nothing is taken after a close', send: [{ opcode: close }, hello], closes: 1005 },
  ],
  '5.6 and 8.1 text': [
    { name: 'well-formed UTF-8', send: [{ opcode: text, payload: 'κόσμε 𝄞' }], receives: ['κόσμε 𝄞'] },
    {
      name: 'a character cut in two by fragments',
      send: [
        { opcode: text, fin: false, payload: bytes(0xce) },
        { opcode: continuation, payload: bytes(0xba) },
      ],
      receives: ['κ'],
    },
    { name: 'a lone continuation byte', send: [{ opcode: text, payload: bytes(0x80) }], closes: 1007 },
    { name: 'an overlong form', send: [{ opcode: text, payload: bytes(0xc0, 0xaf) }], closes: 1007 },
    { name: 'a surrogate', send: [{ opcode: text, payload: bytes(0xed, 0xa0, 0x80) }], closes: 1007 },
    {
      name: 'a character above U+10FFFF',
      send: [{ opcode: text, payload: bytes(0xf4, 0x90, 0x80, 0x80) }],
      closes: 1007,
    },
    { name: 'a character that is cut off', send: [{ opcode: text, payload: bytes(0xe2, 0x82) }], closes: 1007 },
    { name: 'a binary frame where the codec writes text', send: [{ opcode: binary, payload: '{}' }], closes: 4400 },
  ],
}

describe.each(Object.entries(sections))('RFC 6455, %s', (_section, cases) => {
  test.each(cases)('$name', async ({ send, receives = [], pongs = [], closes }) => {
    const { client, accepted } = await (await serve()).open()
    client.write(...send.map((frame) => (Buffer.isBuffer(frame) ? frame : buildFrame(frame))))

    const seen: string[] = []
    if (closes === undefined) {
      client.write(buildFrame({ opcode: ping, payload: 'still there' }))
      for (const payload of [...pongs, 'still there']) {
        expect(await client.frames.next()).toEqual({
          fin: true,
          opcode: pong,
          masked: false,
          payload: Buffer.from(payload),
        })
      }
    } else {
      const { code } = await client.closeFrame()
      expect(code).toBe(closes)
      client.socket.end()
    }
    for (const _ of receives) {
      const event = await accepted.heard.next()
      seen.push(event.type === 'received' ? String(event.data) : event.type)
    }
    expect(seen).toEqual(receives)
    if (closes === undefined) expect(accepted.heard.length).toBe(0)
    else expect(await accepted.heard.next()).toMatchObject({ type: 'closed', code: closes })
  })
})

test('5.2: frames arrive whole however the network cuts them', async () => {
  const { client, accepted } = await (await serve()).open()
  for (const byte of buildFrame({ opcode: text, payload: 'one by one', lengthBits: 64 })) client.write(bytes(byte))
  expect(await accepted.heard.next()).toEqual({ type: 'received', data: 'one by one' })
})

test('5.4: more than 1,024 pieces of one unfinished frame close the connection', async () => {
  const { client, accepted } = await (await serve()).open()
  // Each write waits for the operating system, so that most pieces arrive alone.
  client.write(buildFrame({ opcode: text, claims: 60_000n, payload: 'x' }))
  void (async (): Promise<void> => {
    for (let i = 0; i < 59_000 && !client.socket.destroyed; i++) {
      client.write(Buffer.from('x'))
      await new Promise((resolve) => setImmediate(resolve))
    }
  })()
  expect(await client.closeFrame()).toMatchObject({ code: 1008 })
  expect(await accepted.heard.next()).toMatchObject({ type: 'closed', code: 1008 })
})

test('5.6: a text frame where the codec writes bytes closes the connection with 4400', async () => {
  const encoder = new TextEncoder()
  const codec = {
    name: 'bytes',
    encode: (frame: unknown): Uint8Array => encoder.encode(JSON.stringify(frame)),
    decode: (): unknown => ({}),
  }
  const api = new FakeApi({ codecs: [codec] })
  const { client, accepted } = await (await serve({}, api)).open({ 'Sec-WebSocket-Protocol': 'rtapi.v1.bytes' })
  client.write(buildFrame({ opcode: binary, payload: 'ok' }))
  expect(await accepted.heard.next()).toEqual({ type: 'received', data: Buffer.from('ok') })
  client.write(buildFrame(hello))
  const goodbye = await client.frames.next()
  expect(goodbye.opcode).toBe(binary)
  expect(JSON.parse(goodbye.payload.toString())).toMatchObject({ type: 'goodbye', code: 4400, again: false })
  expect(await client.closeFrame()).toEqual({ code: 4400, reason: 'expected binary frames' })
})
