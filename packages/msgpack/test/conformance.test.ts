import { codecSuite } from '@rtapi/testing'
import { describe, test } from 'vitest'
import { msgpackCodec } from '../src/index.ts'

const bytes = (hex: string): Uint8Array => Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16))

const cases = codecSuite({
  open: () => msgpackCodec,
  refuses: [
    { what: 'a text', data: '{"type":"pong"}' },
    { what: 'a timestamp', data: bytes('d6ff00000000') },
    { what: 'an extension', data: bytes('c70105ff') },
    { what: 'binary data', data: bytes('c403010203') },
    { what: 'the reserved type', data: bytes('c1') },
    { what: 'NaN', data: bytes('cb7ff8000000000000') },
    { what: 'infinity', data: bytes('ca7f800000') },
    { what: 'a whole number above the safe ones', data: bytes('cf0020000000000000') },
    { what: 'a whole number below the safe ones', data: bytes('d3ffe0000000000000') },
    { what: 'a map with a number for a key', data: bytes('810101') },
    { what: 'a map with nil for a key', data: bytes('81c001') },
    { what: 'an array whose data has not come', data: bytes('ddee6b280001') },
    { what: 'a map whose data has not come', data: bytes('dfee6b2800a16101') },
    { what: 'a text whose data has not come', data: bytes('dbffffffff61') },
    { what: 'an overlong form in UTF-8', data: bytes('a2c080') },
    { what: 'a lone surrogate', data: bytes('a3eda080') },
    { what: '100,000 levels', data: new Uint8Array(100_000).fill(0x91) },
  ],
})

describe('the MessagePack codec is a codec', () => {
  for (const { name, run } of cases) test(name, run)
})
