import { attackSuite } from '@rtapi/testing'
import { describe, test } from 'vitest'
import { serveInMemory } from '../../support/memory-transport.ts'

describe('attacks on an API, without a network', () => {
  for (const { name, run } of attackSuite({ name: 'memory', serve: serveInMemory })) test.concurrent(name, run)
})
