import { type Api, jsonCodec } from '@rtapi/core'
import { type TransportSubject, transportSuite } from '@rtapi/testing'
import { describe, test } from 'vitest'
import { httpHandler, toNodeListener } from '../src/index.ts'
import { listen } from './listen.ts'
import { PollingClient } from './polling-client.ts'

async function serve(api: Api): Promise<TransportSubject> {
  // An API without JSON is served by no HTTP; the case that brings one is not tried.
  const handler = httpHandler({ ...api, codecs: [jsonCodec] }, { sessionTimeout: 2_000 })
  const { origin, end } = await listen(toNodeListener(handler))
  return {
    origin,
    async connect(options = {}) {
      if (options.codec !== undefined && options.codec !== 'json') throw new Error('HTTP carries JSON')
      return await PollingClient.open(`${origin}/rt`, options)
    },
    close: () => handler.close(),
    dispose: end,
  }
}

describe('the HTTP transport is a transport', () => {
  const binary = { not: 'HTTP carries JSON' }
  for (const { name, run } of transportSuite({ name: 'long-polling', serve, binary, origins: true })) test(name, run)
})
