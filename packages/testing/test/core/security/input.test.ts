import { afterEach, expect, test } from 'vitest'
import { answerTo, closeWorlds, openWorld } from './security-world.ts'

// The tables of hostile input are tried by `attackSuite`, over every transport and in memory. This is what needs a clock.

afterEach(closeWorlds)

test('A12 a third bad frame within half a minute, and not within ten seconds, does not end the link', async () => {
  const world = openWorld()
  const client = await world.as('ada')
  for (let i = 0; i < 6; i++) {
    await answerTo(world, client, '{')
    await world.clock.advance(5_100)
  }
  expect(client.closed).toBeUndefined()
})

test('A45 negative zero is zero', async () => {
  const world = openWorld()
  const client = await world.as('ada')
  const frame = '{"type":"request","id":"r","resource":"notes","action":"list","where":{"count":-0}}'
  expect(await answerTo(world, client, frame)).toContain('"key":1')
})
