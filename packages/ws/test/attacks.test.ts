import { attackSuite } from '@rtapi/testing'
import { describe, test, vi } from 'vitest'
import { serveSubject } from './subject.ts'

// Everything is waited for, and a busy machine takes its time.
vi.setConfig({ testTimeout: 60_000 })

describe('attacks by messages', () => {
  for (const { name, run } of attackSuite({ name: 'ws', serve: serveSubject })) test.concurrent(name, run)
})
