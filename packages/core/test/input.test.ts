import { type } from 'arktype'
import * as v from 'valibot'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { checkInput } from '../src/input.ts'
import { memoryStore } from '../src/memory-store.ts'
import { defineResource } from '../src/resource.ts'
import { resolveResource } from '../src/resource-model.ts'

const store = memoryStore({
  entity: 'Note',
  fields: { id: 'integer', text: 'string', rank: { type: 'integer', nullable: true }, extra: 'json', bytes: 'bytes' },
})
const model = resolveResource(defineResource('notes', { store, permissions: [] }))

const schemas = {
  zod: z.object({ text: z.string().max(5), rank: z.number().optional() }),
  valibot: v.object({ text: v.pipe(v.string(), v.maxLength(5)), rank: v.optional(v.number()) }),
  // A schema of arktype is a function.
  arktype: type({ '+': 'reject', text: 'string <= 5', 'rank?': 'number' }),
  'arktype that drops': type({ '+': 'delete', text: 'string <= 5', 'rank?': 'number' }),
  'an asynchronous one': z.object({
    text: z.string().refine((text) => Promise.resolve(text.length <= 5)),
    rank: z.number().optional(),
  }),
} as const

describe.each(Object.entries(schemas))('with %s', (_name, schema) => {
  test('data that is right goes through', async () => {
    expect(await checkInput(model, schema, { text: 'hello', rank: 1 }, 'create')).toEqual({ text: 'hello', rank: 1 })
  })
  test('a wrong value is named', async () => {
    await expect(checkInput(model, schema, { text: 'too long' }, 'create')).rejects.toMatchObject({
      code: 'invalid',
      details: [{ path: ['text'] }],
    })
  })
  test.each(['owner', '__proto', 'id'])('the unknown field %s is refused', async (field) => {
    await expect(checkInput(model, schema, { text: 'a', [field]: 1 }, 'create')).rejects.toMatchObject({
      // A strict schema refuses it by itself.
      code: expect.stringMatching(/bad_request|invalid/) as string,
    })
  })
  test.each([null, undefined, 'text', 7, [], true])('%j is no data', async (data) => {
    await expect(checkInput(model, schema, data, 'create')).rejects.toMatchObject({ code: 'bad_request' })
  })
})

test.each([
  ['arktype', type({ text: 'string' })],
  ['zod', z.looseObject({ text: z.string() })],
])('an open schema of %s is a fault of the server', async (_name, schema) => {
  await expect(checkInput(model, schema, { text: 'a' }, 'create')).rejects.toThrow(/lets unknown fields through/)
  await expect(checkInput(model, schema, { text: 'a', owner: 'me' }, 'create')).rejects.toThrow(
    /lets unknown fields through/,
  )
})

describe('with a list of fields', () => {
  const fields = ['text', 'rank', 'extra', 'bytes'] as const
  test('values are checked by their types', async () => {
    const data = { text: 'a', rank: null, extra: { any: [1, null] }, bytes: 'AAEC' }
    expect(await checkInput(model, fields, data, 'create')).toEqual(data)
    await expect(
      checkInput(model, fields, { text: 1, rank: 1.5, extra: {}, bytes: '?' }, 'create'),
    ).rejects.toMatchObject({
      code: 'invalid',
      details: [{ path: ['text'] }, { path: ['rank'] }, { path: ['bytes'] }],
    })
  })
  test('a create needs what has no default, an update does not', async () => {
    await expect(checkInput(model, fields, { rank: 1 }, 'create')).rejects.toMatchObject({
      details: [{ path: ['text'] }, { path: ['extra'] }, { path: ['bytes'] }],
    })
    expect(await checkInput(model, fields, { rank: 1 }, 'update')).toEqual({ rank: 1 })
    await expect(checkInput(model, fields, { text: null }, 'update')).rejects.toMatchObject({ code: 'invalid' })
  })
  test('other fields are refused', async () => {
    await expect(checkInput(model, fields, { id: 1 }, 'update')).rejects.toMatchObject({ code: 'bad_request' })
  })
})
