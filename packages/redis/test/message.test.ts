import { expect, test } from 'vitest'
import { parseMessage } from '../src/message.ts'

const parse = (text: string, size = 1_000) => parseMessage(Buffer.from(text), size)

test('a message is taken apart', () => {
  expect(parse('1:epoch:7:tag:AAAAAA::{"a":":"}')).toEqual({
    epoch: 'epoch',
    seq: 7,
    previous: 'tag',
    body: 'AAAAAA::{"a":":"}',
  })
  expect(parse('1:e-_9:1::')).toEqual({ epoch: 'e-_9', seq: 1, previous: '', body: '' })
})

test('what is no message is none', () => {
  const wrong = [
    '',
    '1',
    '1:e:1:',
    '2:e:1::b',
    '1::1::b',
    '1:e:::b',
    '1:e:-1::b',
    '1:e:1e3::b',
    '1:e f:1::b',
    ' 1:e:1::b',
  ]
  for (const text of [...wrong, `1:${'e'.repeat(33)}:1::b`, `1:e:${'1'.repeat(16)}::b`]) {
    expect(parse(text), text).toBeUndefined()
  }
})

test('what is too long for any entry is not even read', () => {
  expect(parse(`1:e:1::${'€'.repeat(1_000)}`)).toBeDefined()
  expect(parse(`1:e:1::${'x'.repeat(3_200)}`)).toBeUndefined()
})
