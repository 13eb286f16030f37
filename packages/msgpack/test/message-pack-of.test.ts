import { expect, test } from 'vitest'
import { msgpackCodec } from '../src/index.ts'
import { messagePackOf } from './support/message-pack-of.ts'

test('what JSON says, MessagePack says', () => {
  const json = '{"a":[1,-2,0.5,true,false,null,{}],"b c":"é\\n😀\\"","d":{"e":[[],[{"f":-0}]]}}'
  expect(msgpackCodec.decode(messagePackOf(json))).toEqual(JSON.parse(json))
  expect(msgpackCodec.decode(messagePackOf('{"a":1,"a":2}'))).toEqual({ a: 2 })
})

test.each(['', '{"type":', '[1', '"\\ud800"', '1e400', '9007199254740993', '['.repeat(300) + ']'.repeat(300)])(
  'what is wrong stays wrong: %.20s',
  (json) => {
    expect(() => msgpackCodec.decode(messagePackOf(json))).toThrow()
  },
)
