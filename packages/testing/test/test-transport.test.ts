import { transportSuite } from '@rtapi/testing'
import { describe, test } from 'vitest'
import { serveInMemory } from './support/memory-transport.ts'

const cases = transportSuite({
  name: 'test',
  serve: serveInMemory,
  binary: true,
  origins: { not: 'there are no pages in memory' },
})

describe('the transport of the test client is a transport', () => {
  for (const { name, run } of cases) test(name, run)
})
