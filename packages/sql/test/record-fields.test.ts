import { type Json, RtapiError } from '@rtapi/core'
import { type ReadValue, type RecordField, describeFields, missingIn, writtenValues } from '@rtapi/sql'
import { expect, test } from 'vitest'

const fields = new Map<string, RecordField>(
  [
    { name: 'id', type: 'integer', nullable: false, writable: true } as const,
    { name: 'text', type: 'string', nullable: false, writable: true, optional: true } as const,
    { name: 'note', type: 'string', nullable: true, writable: true } as const,
    { name: 'version', type: 'integer', nullable: false, writable: false, optional: true } as const,
  ].map((field) => [field.name, field]),
)

const read = ({ type }: RecordField, value: Json): ReadValue =>
  type === 'string' && typeof value === 'number' ? { problem: 'expected a text' } : { value: [value] }

test('the values of a write come with their fields; what is undefined is not written', () => {
  const values = writtenValues(fields, { id: 1, text: undefined as never, note: null }, read)
  expect(values.map(([{ name }, value]) => [name, value])).toEqual([
    ['id', [1]],
    ['note', [null]],
  ])
})

test('each field that does not exist, cannot be written or has no such value is named', () => {
  const data = { id: 1, text: 5, version: 2, nothing: 1, ['__proto__']: 1 }
  const names = (): unknown => {
    try {
      return writtenValues(fields, data, read)
    } catch (error) {
      return error instanceof RtapiError && [error.code, ...(error.details ?? [])]
    }
  }
  expect(names()).toEqual([
    'invalid',
    { path: ['text'], message: 'expected a text' },
    { path: ['version'], message: 'there is no such field to write' },
    { path: ['nothing'], message: 'there is no such field to write' },
    { path: ['__proto__'], message: 'there is no such field to write' },
  ])
})

test('missing is what has no default and may not be null', () => {
  expect(missingIn(fields, { id: 1 })).toBeUndefined()
  expect(missingIn(fields, { note: 'a' })).toEqual([{ path: ['id'], message: 'is required' }])
  expect(missingIn(fields, { id: null })).toEqual([{ path: ['id'], message: 'is required' }])
})

test('a store is described by its fields, without what only writes know', () => {
  expect(describeFields(new Map([...fields].slice(0, 2)), [...fields.values()].slice(0, 1))).toEqual({
    key: ['id'],
    fields: { id: { type: 'integer', nullable: false }, text: { type: 'string', nullable: false, optional: true } },
  })
})
