import { type Codec, type ServerMessage, jsonCodec } from '@rtapi/core'
import { type CodecFactory, codecSuite } from '@rtapi/testing'
import { expect, test } from 'vitest'
import { failuresOf } from './support/failures.ts'

const refuses: NonNullable<CodecFactory['refuses']> = [{ what: 'a number beyond all doubles', data: '{"a":1e999}' }]

function failuresWith(codec: Partial<Codec>): Promise<string[]> {
  return failuresOf(codecSuite({ open: () => ({ ...jsonCodec, ...codec }), refuses, seeds: [1] }))
}

/** The JSON codec as one that writes bytes. */
function inBytes(change: { encode?: (text: string) => Uint8Array; decode?: (data: Uint8Array) => unknown }): Codec {
  const encode = change.encode ?? ((text) => new TextEncoder().encode(text))
  const decode = change.decode ?? ((data) => jsonCodec.decode(data))
  return {
    name: 'bytes',
    encode: (frame) => encode(JSON.stringify(frame)),
    decode: (data) => decode(typeof data === 'string' ? new TextEncoder().encode(data) : data),
  }
}

const textOf = (data: string | Uint8Array): string => (typeof data === 'string' ? data : new TextDecoder().decode(data))

/** Copies members one by one, and so follows `__proto__`. */
function merge(into: Record<string, unknown>, from: Record<string, unknown>): Record<string, unknown> {
  for (const [name, value] of Object.entries(from)) {
    const inner = into[name]
    if (isObject(value) && isObject(inner)) merge(inner, value)
    else into[name] = isObject(value) ? merge({}, value) : value
  }
  return into
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

const buffer = new Uint8Array(65_536)

const mutants: Readonly<Record<string, Partial<Codec>>> = {
  'has no name to speak of': { name: 'JSON codec' },
  'makes dates of what looks like one': {
    decode: (data) =>
      JSON.parse(textOf(data), (_, value: unknown) =>
        typeof value === 'string' && /^\d{4}-|^x{40}$/.test(value) ? new Date(0) : value,
      ) as unknown,
  },
  'rounds numbers': {
    encode: (frame) =>
      JSON.stringify(frame, (_, value: unknown) => (typeof value === 'number' ? Math.fround(value) : value)),
  },
  'loses what is not ASCII': { encode: (frame) => JSON.stringify(frame).replace(/[^\0-\x7f]/g, '?') },
  'leaves null out': {
    encode: (frame) => JSON.stringify(frame, (_, value: unknown) => (value === null ? undefined : value)),
  },
  'makes one message of a batch of one': {
    decode(data) {
      const value = jsonCodec.decode(data)
      return Array.isArray(value) && value.length === 1 ? (value[0] as unknown) : value
    },
  },
  'writes text or bytes as it likes': {
    encode: (frame) =>
      JSON.stringify(frame) === '{"type":"pong"}'
        ? new TextEncoder().encode(JSON.stringify(frame))
        : JSON.stringify(frame),
  },
  'reads no bytes': { decode: (data) => JSON.parse(typeof data === 'string' ? data : '!') as unknown },
  'reads the whole buffer of its bytes': inBytes({ decode: ({ buffer }) => jsonCodec.decode(new Uint8Array(buffer)) }),
  'writes all frames into one buffer': inBytes({
    encode: (text) => buffer.subarray(0, new TextEncoder().encodeInto(text, buffer).written),
  }),
  'reads what is cut short': {
    decode(data) {
      const text = textOf(data)
      try {
        return jsonCodec.decode(text)
      } catch (error) {
        if (text.startsWith('{')) return {}
        throw error
      }
    },
  },
  'reads the first of two frames': {
    decode: (data) => jsonCodec.decode(textOf(data).replace(/^(\{"type":"pong"\}).+/, '$1')),
  },
  'takes bytes for text that are none': { decode: (data) => jsonCodec.decode(textOf(data)) },
  'reads numbers that are infinite': { decode: (data) => JSON.parse(textOf(data)) as unknown },
  'lets a key reach the prototype': {
    decode(data) {
      const value = jsonCodec.decode(data)
      return isObject(value) ? merge({}, value) : value
    },
  },
  'throws what is no error': {
    decode(data) {
      try {
        return jsonCodec.decode(data)
      } catch {
        // oxlint-disable-next-line typescript/only-throw-error -- it is what this mutant does wrong
        throw 'broken'
      }
    },
  },
  'answers undefined instead of throwing': {
    decode(data) {
      try {
        return jsonCodec.decode(data)
      } catch {
        return undefined
      }
    },
  },
}

test('the right codec passes, as text and as bytes', async () => {
  expect(await failuresWith({})).toEqual([])
  expect(await failuresWith(inBytes({}))).toEqual([])
})

test.each(Object.keys(mutants))('a codec that %s is found', async (name) => {
  try {
    expect(await failuresWith(mutants[name] ?? {})).not.toEqual([])
  } finally {
    Reflect.deleteProperty(Object.prototype, 'polluted')
  }
})

/** The compiler sees to it that none is forgotten here. */
test('the samples hold every type of server message', () => {
  const types: Record<ServerMessage['type'], true> = {
    welcome: true,
    reply: true,
    snapshot: true,
    changes: true,
    reset: true,
    end: true,
    expiring: true,
    goodbye: true,
    ping: true,
    pong: true,
  }
  const names = codecSuite({ open: () => jsonCodec }).map(({ name }) => name)
  for (const type of Object.keys(types))
    expect(names.some((name) => name.startsWith(`brings a ${type} message`))).toBe(true)
})
