import type { Api } from '@rtapi/core'
import { transportSuite } from '@rtapi/testing'
import { describe, test, vi } from 'vitest'
import { serveSubject } from './support/subject.ts'

// The machine may be slow, and busy with other things.
vi.setConfig({ testTimeout: 60_000 })

describe.each(['poll', 'stream'] as const)('HTTP is a transport, by %s', (by) => {
  const binary = { not: 'HTTP carries JSON' }
  const factory = { name: 'long-polling', serve: (api: Api) => serveSubject(api, by), binary, origins: true as const }
  for (const { name, run } of transportSuite(factory)) test(name, run)
})
