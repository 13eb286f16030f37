import { attackSuite } from '@rtapi/testing'
import { describe, test, vi } from 'vitest'
import { serving } from './subject.ts'

// Everything is waited for, and a busy machine takes its time.
vi.setConfig({ testTimeout: 60_000 })

describe.each(['websocket', 'polling'] as const)('attacks by messages, over %s', (transport) => {
  for (const { name, run } of attackSuite({ name: 'socket.io', serve: serving(transport) })) test.concurrent(name, run)
})
