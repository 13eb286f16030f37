import { jsonCodec } from '@rtapi/core'
import { codecSuite } from '@rtapi/testing'
import { describe, test } from 'vitest'

const cases = codecSuite({
  open: () => jsonCodec,
  refuses: [
    { what: 'a number that is none', data: '{"type":NaN}' },
    { what: 'a number beyond all doubles', data: '{"a":[1e999]}' },
    { what: 'a number with too many digits', data: `{"a":-${'9'.repeat(400)}}` },
    { what: 'a number with many digits and an exponent', data: `{"a":${'9'.repeat(250)}e99}` },
    { what: 'a comment', data: '{}//' },
    { what: 'single quotes', data: "{'type':'pong'}" },
  ],
})

describe('the JSON codec is a codec', () => {
  for (const { name, run } of cases) test(name, run)
})
