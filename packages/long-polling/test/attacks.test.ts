import type { Api } from '@rtapi/core'
import { attackSuite } from '@rtapi/testing'
import { describe, test, vi } from 'vitest'
import { serveSubject } from './support/subject.ts'

// The machine may be slow, and busy with other things.
vi.setConfig({ testTimeout: 60_000 })

describe.each(['poll', 'stream'] as const)('attacks by messages, read by %s', (by) => {
  const serve = (api: Api) => serveSubject(api, by)
  for (const { name, run } of attackSuite({ name: 'HTTP', serve })) test.concurrent(name, run)
})
