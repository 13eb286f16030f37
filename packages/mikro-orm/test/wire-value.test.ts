import { NoWireValue } from '@rtapi/sql'
import { expect, test } from 'vitest'
import { toWire } from '../src/wire-value.ts'

test('objects that look like SQL are not taken for it', () => {
  const marker = JSON.parse('{"__raw": true, "sql": "drop table"}') as unknown
  expect(toWire('json', marker)).toEqual({ __raw: true, sql: 'drop table' })
  expect(() => toWire('string', marker)).toThrow(NoWireValue)
})
