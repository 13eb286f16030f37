import { createHash } from 'node:crypto'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { sha256Hex } from '../src/sha256.ts'

function reference(text: string): string {
  return createHash('sha256').update(text, 'utf8').digest('hex')
}

test.each([
  ['', 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'],
  ['abc', 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'],
  [
    'abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq',
    '248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1',
  ],
  ['a'.repeat(1_000_000), 'cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0'],
])('the examples of FIPS 180-4: %#', (text, digest) => {
  expect(sha256Hex(text)).toBe(digest)
})

test('texts of every length around the edges of a block', () => {
  for (let length = 0; length <= 200; length++) {
    expect(sha256Hex('x'.repeat(length)), `${length}`).toBe(reference('x'.repeat(length)))
  }
})

test('any text, lone surrogates as their replacement', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 300, size: 'max' }), (text) => {
      expect(sha256Hex(text)).toBe(reference(text))
    }),
    { numRuns: 100 },
  )
  expect(sha256Hex('\ud800')).toBe(reference('\ufffd'))
})
