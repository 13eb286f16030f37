import { type Api, jsonCodec } from '@rtapi/core'
import { type TransportSubject, transportSuite } from '@rtapi/testing'
import { describe, test, vi } from 'vitest'
import { httpHandler, toNodeListener } from '../src/index.ts'
import { HttpClient } from './support/http-client.ts'
import { listen } from './support/listen.ts'

// The machine may be slow, and busy with other things.
vi.setConfig({ testTimeout: 60_000 })

async function serve(api: Api, by: 'poll' | 'stream'): Promise<TransportSubject> {
  // An API without JSON is served by no HTTP; the case that brings one is not tried.
  const handler = httpHandler({ ...api, codecs: [jsonCodec] }, { sessionTimeout: 2_000 })
  const { origin, end } = await listen(toNodeListener(handler))
  return {
    origin,
    async connect(options = {}) {
      if (options.codec !== undefined && options.codec !== 'json') throw new Error('HTTP carries JSON')
      return await HttpClient.open(`${origin}/rt`, { ...options, by })
    },
    close: () => handler.close(),
    dispose: end,
  }
}

describe.each(['poll', 'stream'] as const)('HTTP is a transport, by %s', (by) => {
  const binary = { not: 'HTTP carries JSON' }
  const factory = { name: 'long-polling', serve: (api: Api) => serve(api, by), binary, origins: true as const }
  for (const { name, run } of transportSuite(factory)) test(name, run)
})
