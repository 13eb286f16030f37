import { describe, expect, test } from 'vitest'
import type { AcceptedClient } from './fake-api.ts'
import { serve } from './harness.ts'
import { buildFrame, closePayload, opcodes, text } from './raw-client.ts'

const COUNT = 3_000
const flood = Array.from({ length: COUNT }, (_, i) => text(String(i)))

async function received({ heard }: AcceptedClient): Promise<string> {
  const next = await heard.next()
  return next.type === 'received' ? String(next.data) : next.type
}

/** Waits until some have come, but by far not all. */
async function untilBegun(accepted: AcceptedClient): Promise<void> {
  expect(await received(accepted)).toBe('0')
  expect(accepted.heard.length).toBeLessThan(COUNT / 2)
}

describe('a client that sends thousands of frames at once', () => {
  test('gets all of them through, in their order', async () => {
    const { client, accepted } = await (await serve()).open()
    client.write(...flood)
    for (let i = 0; i < COUNT; i++) expect(await received(accepted)).toBe(String(i))
    client.write(text('later'))
    expect(await received(accepted)).toBe('later')
  })

  test('does not keep others waiting until all are through', async () => {
    const { open } = await serve()
    const flooding = await Promise.all(Array.from({ length: 10 }, () => open()))
    const honest = await open()
    for (const { client } of flooding) client.write(...flood)
    for (const { accepted } of flooding) expect(await received(accepted)).toBe('0')
    honest.client.write(text('honest'))
    expect(await received(honest.accepted)).toBe('honest')
    const waits = flooding.filter(({ accepted }) => accepted.heard.length < COUNT - 1)
    expect(waits.length, 'those of whom something waits still').toBeGreaterThan(0)
  })

  test('and closes: what it sent before is served first, then it is told that it is gone', async () => {
    const { client, accepted } = await (await serve()).open()
    client.write(...flood, buildFrame({ opcode: opcodes.close, payload: closePayload(4000, 'bye') }))
    expect(await client.closeFrame()).toEqual({ code: 4000, reason: 'bye' })
    for (let i = 0; i < COUNT; i++) expect(await received(accepted)).toBe(String(i))
    expect(await accepted.heard.next()).toEqual({ type: 'closed', code: 4000, reason: 'bye' })
    expect(accepted.heard.length).toBe(0)
  })

  test('and is closed for it: what waits is not served any more', async () => {
    const { client, accepted } = await (await serve()).open()
    client.write(...flood)
    await untilBegun(accepted)
    accepted.socket.close(4429, 'too many')
    const before = accepted.heard.length
    expect(await client.closeFrame()).toEqual({ code: 4429, reason: 'too many' })
    client.write(buildFrame({ opcode: opcodes.close, payload: closePayload(4429) }))
    await client.ended
    for (let i = 0; i < before; i++) await received(accepted)
    expect(await accepted.heard.next()).toEqual({ type: 'closed', code: 4429, reason: 'too many' })
    expect(accepted.heard.length).toBe(0)
  })

  test('and breaks off in the middle of a frame is not taken for one that does not finish it', async () => {
    const { api, open } = await serve()
    const { client, accepted } = await open()
    const half = text('half')
    client.write(...flood, half.subarray(0, 5))
    await untilBegun(accepted)
    await api.clock.advance(15_000)
    client.write(half.subarray(5))
    for (let i = 1; i < COUNT; i++) expect(await received(accepted)).toBe(String(i))
    expect(await received(accepted)).toBe('half')
  })
})
