import type { ClientMessage, Codec, ServerMessage } from '@rtapi/core'
import { type ConformanceCase, check, checkEqual } from './conformance.ts'
import { clientMessages, serverMessages } from './sample-messages.ts'
import { type SeededRandom, seededRandom } from './seeded-random.ts'

export interface CodecFactory {
  /** Called once for each case. */
  open(): Codec
  /** Inputs that are bad in the codec's own ways, each of which `decode` must refuse. */
  readonly refuses?: readonly { readonly what: string; readonly data: string | Uint8Array }[]
  /** Seeds of the random inputs. @default [1, 2, 3] */
  readonly seeds?: readonly number[]
}

/** What every `Codec` promises. */
export function codecSuite(factory: CodecFactory): readonly ConformanceCase[] {
  const refusals = (factory.refuses ?? []).map(({ what, data }): CodecCase => [
    `refuses ${what}`,
    (codec) => check(decodes(codec, data) === undefined, `${what} was decoded`),
  ])
  const random = (factory.seeds ?? [1, 2, 3]).map((seed): CodecCase => [
    `random input throws or is plain data (seed ${seed})`,
    (codec) => tryRandomInput(codec, seed),
  ])
  return [...wellMeant, ...hostile, ...refusals, ...random].map(([name, run]) => ({
    name,
    run: async () => run(factory.open()),
  }))
}

type CodecCase = readonly [name: string, run: (codec: Codec) => void]

const wellMeant: readonly CodecCase[] = [
  [
    'has a name that can stand in a subprotocol',
    ({ name }) => check(/^[a-z0-9][a-z0-9._-]{0,31}$/.test(name), `the name ${JSON.stringify(name)}`),
  ],
  ...[...serverMessages, ...clientMessages].map((message, i): CodecCase => [
    `brings a ${message.type} message back as it was (${i + 1})`,
    (codec) => checkRoundTrip(codec, message),
  ]),
  [
    'brings a batch back in its order, and tells it from a message',
    (codec) => {
      checkRoundTrip(codec, serverMessages)
      checkRoundTrip(codec, [{ type: 'pong' }])
      checkRoundTrip(codec, [])
    },
  ],
  [
    'leaves out what is undefined',
    (codec) => {
      const message = { type: 'reply', id: 'a', ok: true, next: undefined } as unknown as ServerMessage
      checkEqual(codec.decode(codec.encode(message)), { type: 'reply', id: 'a', ok: true }, 'the message')
    },
  ],
  [
    'always writes text, or always bytes, and reads both of a text',
    (codec) => {
      const frames = serverMessages.map((message) => codec.encode(message))
      checkEqual(new Set(frames.map((frame) => typeof frame)).size, 1, 'kinds of frames')
      const [text] = frames
      if (typeof text !== 'string') return
      checkEqual(codec.decode(new TextEncoder().encode(text)), codec.decode(text), 'the bytes of a text')
    },
  ],
  [
    'reads bytes that are a part of a larger buffer, and leaves them as they are',
    (codec) => {
      const frame = bytesOf(codec.encode(serverMessages))
      const buffer = new Uint8Array(frame.length + 20).fill(0x7b)
      buffer.set(frame, 10)
      const before = buffer.slice()
      checkEqual(codec.decode(buffer.subarray(10, 10 + frame.length)), plain(serverMessages), 'the frame')
      checkEqual([...buffer], [...before], 'the buffer')
    },
  ],
  [
    'keeps frames and what was read of them as they were, whatever is written and read later',
    (codec) => {
      const frames = serverMessages.map((message) => codec.encode(message))
      const decoded = frames.map((frame) => codec.decode(frame))
      checkEqual(decoded, plain(serverMessages), 'what was read')
      checkEqual(
        frames.map((frame) => codec.decode(frame)),
        plain(serverMessages),
        'what was read again',
      )
      for (const frame of frames) if (typeof frame !== 'string') frame.fill(0)
      checkEqual(decoded, plain(serverMessages), 'what was read, after the bytes were overwritten')
    },
  ],
]

const hostile: readonly CodecCase[] = [
  [
    'refuses an empty frame, and one that is cut short, wherever it is',
    (codec) => {
      const frame = codec.encode({ type: 'reply', id: 'a', ok: true, data: { text: 'ä😀', list: [1, 300, null] } })
      for (let length = 0; length < frame.length; length++) {
        check(decodes(codec, frame.slice(0, length)) === undefined, `${length} of ${frame.length} units were decoded`)
      }
    },
  ],
  [
    'refuses a frame with something after it',
    (codec) => {
      const frame = codec.encode({ type: 'pong' })
      const twice = typeof frame === 'string' ? frame + frame : concat(frame, frame)
      check(decodes(codec, twice) === undefined, 'two frames in one were decoded')
    },
  ],
  [
    'refuses bytes that are no UTF-8 where text is meant',
    (codec) => {
      const marker = 'abcdefgh'
      const frame = bytesOf(codec.encode({ type: 'expiring', expiresAt: 1, marker } as unknown as ServerMessage))
      const at = indexOf(frame, new TextEncoder().encode(marker))
      check(at >= 0, 'the text does not stand in the frame as UTF-8')
      for (const bad of [0xff, 0xc0, 0x80, 0xed]) {
        const broken = frame.slice()
        broken[at + 3] = bad
        check(decodes(codec, broken) === undefined, `a text with the byte ${bad.toString(16)} was decoded`)
      }
    },
  ],
  [
    'never lets a key reach a prototype',
    (codec) => {
      for (const name of ['__proto__', 'constructor', 'prototype']) {
        for (const text of [`{"${name}":{"polluted":1}}`, `{"a":[{"${name}":{"polluted":1}}]}`]) {
          const frame = codec.encode(JSON.parse(text) as ServerMessage)
          const decoded = decodes(codec, frame)
          checkUnpolluted(`after ${text}`)
          if (decoded === undefined) continue
          checkPlain(decoded.value, text)
          check(JSON.stringify(decoded.value) === text, `${text} came back as ${JSON.stringify(decoded.value)}`)
        }
      }
    },
  ],
]

const INPUTS = 1_500

function tryRandomInput(codec: Codec, seed: number): void {
  const random = seededRandom(seed)
  const frames = [...serverMessages, ...clientMessages].map((message) => encode(codec, message))
  for (let i = 0; i < INPUTS; i++) {
    const input = randomInput(random, frames)
    const decoded = decodes(codec, input)
    if (decoded !== undefined) checkPlain(decoded.value, `input ${i} of seed ${seed}`)
  }
  checkUnpolluted(`after the inputs of seed ${seed}`)
}

/** Bytes, mostly those of a right frame with a few errors; as text where frames are text. */
function randomInput(random: SeededRandom, frames: readonly (string | Uint8Array)[]): string | Uint8Array {
  const frame = random.pick(frames)
  const bytes = random.chance(0.2)
    ? Uint8Array.from({ length: random.integer(64) }, () => random.integer(256))
    : bytesOf(frame).slice()
  if (bytes.length > 0) {
    for (let errors = random.integer(5); errors > 0; errors--) bytes[random.integer(bytes.length)] = random.integer(256)
  }
  const cut = random.chance(0.2) ? bytes.slice(random.integer(bytes.length)) : bytes
  return typeof frame === 'string' && random.chance(0.8) ? new TextDecoder().decode(cut) : cut
}

/** What was decoded, or `undefined` if it was refused. */
function decodes(codec: Codec, data: string | Uint8Array): { readonly value: unknown } | undefined {
  try {
    return { value: codec.decode(data) }
  } catch (error) {
    check(error instanceof Error, `decode threw ${String(error)}, which is no Error`)
    return undefined
  }
}

/** A codec writes any frame; its type names only what servers write with it. */
function encode(codec: Codec, frame: ServerMessage | ClientMessage | readonly ServerMessage[]): string | Uint8Array {
  return codec.encode(frame as ServerMessage)
}

function checkRoundTrip(codec: Codec, frame: ServerMessage | ClientMessage | readonly ServerMessage[]): void {
  const decoded = codec.decode(encode(codec, frame))
  checkPlain(decoded, 'what was decoded')
  checkEqual(decoded, plain(frame), 'what was decoded')
}

function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value))
}

/** Nothing but objects, arrays, strings, finite numbers, booleans and null. */
function checkPlain(value: unknown, what: string): void {
  const rest: unknown[] = [value]
  for (let next = rest.pop(); rest.length > 0 || next !== undefined; next = rest.pop()) {
    if (next === null || typeof next === 'string' || typeof next === 'boolean') continue
    if (typeof next === 'number') {
      check(Number.isFinite(next), `${what} holds the number ${next}`)
      continue
    }
    check(typeof next === 'object', `${what} holds a ${typeof next}`)
    if (!Array.isArray(next)) checkPlainObject(next, what)
    const members = Object.values(next) as unknown[]
    check(!members.includes(undefined), `${what} holds undefined`)
    rest.push(...members)
  }
  check(value !== undefined, `${what} is undefined`)
}

function checkPlainObject(value: object, what: string): void {
  const prototype: unknown = Object.getPrototypeOf(value)
  check(prototype === Object.prototype || prototype === null, `${what} holds an object with a prototype of its own`)
  check(Object.getOwnPropertySymbols(value).length === 0, `${what} holds an object with symbols`)
}

function checkUnpolluted(when: string): void {
  const [object, list]: readonly [Record<string, unknown>, unknown[] & { polluted?: unknown }] = [{}, []]
  check(object['polluted'] === undefined && list.polluted === undefined, `${when} every object has a new member`)
}

function bytesOf(frame: string | Uint8Array): Uint8Array {
  return typeof frame === 'string' ? new TextEncoder().encode(frame) : frame
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.length + b.length)
  both.set(a)
  both.set(b, a.length)
  return both
}

function indexOf(bytes: Uint8Array, part: Uint8Array): number {
  return bytes.findIndex((_, at) => part.every((byte, i) => bytes[at + i] === byte))
}
