import { expect, test } from 'vitest'
import { measure } from '../scripts/size.ts'

test('a page pays less than 12 kB for the client, and nothing for what only servers need', async () => {
  const { code, gzipped } = await measure()
  expect(code).toContain('rtapi.v1')
  expect(gzipped).toBeGreaterThan(5_000)
  expect(gzipped).toBeLessThan(12_000)
  // A text of the parser of clients' messages.
  expect(code).not.toContain('an array of protocol versions')
})
