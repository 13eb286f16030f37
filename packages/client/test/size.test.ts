import { expect, test } from 'vitest'
import { measure } from '../scripts/size.ts'

/** A text of each transport which is in its code and nowhere else. */
const marks = {
  longPollingTransport: '/poll',
  eventStreamTransport: 'text/event-stream',
  socketIoTransport: 'forceNew',
}

test('a page pays less than 14 kB for the client, and nothing for what it does not use', async () => {
  const { code, gzipped } = await measure(['createClient'])
  expect(code).toContain('rtapi.v1')
  expect(gzipped).toBeGreaterThan(5_000)
  expect(gzipped).toBeLessThan(14_000)
  // A text of the parser of clients' messages.
  expect(code).not.toContain('an array of protocol versions')
  for (const mark of Object.values(marks)) expect(code).not.toContain(mark)
})

test.each(Object.entries(marks))(
  '%s costs less than 3 kB more, and brings no other transport along',
  async (name, mark) => {
    const base = await measure(['createClient'])
    const { code, gzipped } = await measure(['createClient', name])
    expect(gzipped - base.gzipped).toBeLessThan(3_000)
    expect(Object.values(marks).filter((text) => code.includes(text))).toEqual([mark])
  },
)
