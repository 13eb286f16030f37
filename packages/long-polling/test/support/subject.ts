import { type Api, jsonCodec } from '@rtapi/core'
import type { TransportSubject } from '@rtapi/testing'
import { httpHandler, toNodeListener } from '../../src/index.ts'
import { HttpClient } from './http-client.ts'
import { listen } from './listen.ts'

/** Serves an API over HTTP, whose frames come by the one way or the other. */
export async function serveSubject(api: Api, by: 'poll' | 'stream'): Promise<TransportSubject> {
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
