import type { LayerEntry } from '@rtapi/core'
import { expect, test } from 'vitest'
import { EntryCodec } from '../src/entry-codec.ts'

const entry: LayerEntry = { type: 'session', command: 'end', user: 'ünï"😀', reason: 'a:b:{}' }

test('an entry that is written is read as it was, with its own tag', () => {
  for (const codec of [new EntryCodec([], 1_000), new EntryCodec(['secret'], 1_000)]) {
    const [one, two] = [codec.encode('g', entry), codec.encode('g', entry)]
    expect(codec.decode('g', one.body)).toEqual({ tag: one.tag, entry })
    expect(one.tag).not.toBe(two.tag)
  }
})

test('an entry may be as long as the limit, written and read', () => {
  const { length } = JSON.stringify(entry)
  const [fits, tooShort] = [new EntryCodec([], length), new EntryCodec([], length - 1)]
  const { body } = fits.encode('g', entry)
  expect(fits.decode('g', body)).toBeDefined()
  expect(tooShort.decode('g', body)).toBeUndefined()
  expect(() => tooShort.encode('g', entry)).toThrow(expect.objectContaining({ code: 'limit_exceeded' }))
})

test('a signature holds for one secret, one group, one tag and one text', () => {
  const codec = new EntryCodec(['secret'], 1_000)
  const { tag, body } = codec.encode('rt:a', entry)
  const json = JSON.stringify(entry)
  expect(codec.decode('rt:a', body)).toBeDefined()
  expect(new EntryCodec(['other', 'secret'], 1_000).decode('rt:a', body)).toBeDefined()
  expect(new EntryCodec([], 1_000).decode('rt:a', body)).toBeDefined()
  expect(new EntryCodec(['other'], 1_000).decode('rt:a', body)).toBeUndefined()
  expect(codec.decode('rt:b', body)).toBeUndefined()
  expect(codec.decode('rt:a', body.replace(tag, 'AAAAAA'))).toBeUndefined()
  expect(codec.decode('rt:a', body.replace('"end"', '"refresh"'))).toBeUndefined()
  expect(codec.decode('rt:a', `${tag}::${json}`)).toBeUndefined()
  // What is signed cannot be cut in another way: the group's length is signed too.
  expect(codec.decode(`rt:a:${tag}`, body)).toBeUndefined()
})

test('what is no entry is not read', () => {
  const codec = new EntryCodec([], 1_000)
  for (const body of [
    '',
    ':',
    '::{}',
    'AAAAAA:{}',
    'AAAAAA::',
    'AAAAAA::null',
    'AAAA AA::{}',
    `${'A'.repeat(17)}::{}`,
  ]) {
    expect(codec.decode('g', body), body).toBeUndefined()
  }
})
