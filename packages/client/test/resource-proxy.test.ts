import { expect, test } from 'vitest'
import { createClient } from '../src/index.ts'
import { scriptedClient } from './support/scripted-client.ts'

test('a resource is the same object at each look, also by name', () => {
  const { client } = scriptedClient()
  expect(client.comments).toBe(client.comments)
  expect(client.resource('comments')).toBe(client.comments)
})

test('a resource whose name is taken is reached by name', () => {
  const client = createClient({ url: 'ws://server' })
  expect(client.connection.status).toBe('idle')
  expect(client.resource('connection')).toHaveProperty('live')
})

test('a client is no promise, and can be printed and compared', async () => {
  const { client } = scriptedClient()
  expect(await Promise.resolve(client)).toBe(client)
  expect(Object.prototype.toString.call(client)).toBe('[object Object]')
  expect(JSON.stringify(client)).toContain('connection')
  expect(client).toEqual(client)
  expect(client).not.toHaveProperty('not a name')
})
